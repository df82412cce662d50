"""The backtest as people read it: a page that stands alone, its JSON twin, and the model card."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client, override_settings
from django.utils import translation

from firstbell import clock
from firstbell.access.models import Role
from firstbell.forecast.breaks import judge_breaks
from firstbell.forecast.lines import Counted
from firstbell.forecast.model import Model, code_version
from firstbell.forecast.training import collect, fit_layer_two, learn_layer_one
from firstbell.insight.breaks import breaks
from firstbell.insight.report import questions, verdict_words, write_report
from firstbell.watch import backtests
from firstbell.watch.forecasting import shelf
from tests.build import a_school, a_user
from tests.forecast.district import closed_years
from tests.forecast.test_backtest import TEN, a_good_forecast, figures, rows
from tests.forecast.test_breaks import a_school as watched_school

RULE = "example/ten-unexcused-days"


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Any:
    with override_settings(HOME=tmp_path):
        yield tmp_path


@pytest.fixture(scope="module")
def model() -> Model:
    years = closed_years(schools=3, students=150)
    learned = {c: learn_layer_one(years, c) for c in Counted}
    two = fit_layer_two(collect(years, [TEN], learned, horizons=(10,)), 450)
    return Model(learned, two, (2026,), "2026-08-01", "2026-08-01T04:00:00+00:00", code_version(), 450, {})


BREAKS = judge_breaks([watched_school(1), watched_school(2)], 4.6)


def report(*, slope: float = 1, code: str = "", made_up: bool = False) -> dict[str, Any]:
    """slope: a forecast bolder than it has reason to be"""
    chance, reached = a_good_forecast()
    chance = chance**slope / (chance**slope + (1 - chance) ** slope)
    language = np.where(np.arange(len(chance)) < 3994, "en", "<b>xx</b>")
    ten = figures(rows(chance, reached, said=np.where(chance > 0.3, "act", "clear")), language=language)
    none = figures(rows(np.full(50, 0.1), np.zeros(50)))
    return {
        "made_at": clock.now().isoformat(timespec="seconds"), "code": code or code_version(), "learned_from": ["2024–25"],
        "judged_on": "2025–26", "judged_whole": True, "students": 4000, "schools": 3, "made_up": made_up,
        "rules": {RULE: TEN.title}, "questions": {RULE: {"10": ten, "year-end": none}},
        "breaks": BREAKS,
    }  # fmt: skip


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


class TestReport:
    def test_the_page_stands_alone_and_its_twin_says_the_same(self, home: Path) -> None:
        made = report()
        page, twin = write_report(made, home / "out")
        html = page.read_text()
        assert json.loads(
            twin.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
        ) == json.loads(json.dumps(made))
        assert "<script" not in html
        assert not re.search(r'(?:src|href)="(?!#)', html)
        precision = made["questions"][RULE]["10"]["average_precision"]["forecast"]["value"]
        assert f"{precision:.3f}" in html
        assert html.count("<svg") >= 3

    def test_a_name_from_a_file_stays_text(self, home: Path) -> None:
        made = report()
        made["questions"][RULE]["10"]["groups"]["language"][0]["group"] = "<script>x</script>"
        page, _twin = write_report(made, home / "out")
        assert "<script" not in page.read_text()

    def test_what_is_offered_and_what_not_is_said_in_words(self) -> None:
        ten, none = questions(report())
        assert ten.offered
        assert re.fullmatch(r"It finds \d\.\d\d times what the count so far finds, beyond chance\.", ten.verdict)
        assert not none.offered
        assert none.verdict == "Nobody’s outcome is known yet in the judged year."
        assert none.rivals == []
        assert ten.horizon == "within 10 school days"
        assert none.horizon == "by the year’s end"

    @pytest.mark.parametrize(
        ("verdict", "words"),
        [
            ({"why": "too_few", "reached": 29}, "Only 29 reached it"),
            ({"why": "not_beaten", "rule": "last_20"}, "does not beat absences in the last 20 school days"),
            ({"why": "not_calibrated", "slope": 0.5, "error": 0.04}, "slope 0.50, error 0.040"),
        ],
    )
    def test_every_refusal_has_its_reason(self, verdict: dict[str, Any], words: str) -> None:
        assert words in verdict_words(verdict)

    def test_in_spanish(self, home: Path) -> None:
        with translation.override("es"):
            page, _twin = write_report(report(), home / "out")
        words = text_of(page.read_text())
        assert "10 días completos sin justificar en el curso" in words
        assert "Falsas alarmas" in words
        assert "school days" not in words

    def test_breaks_are_shown_with_how_they_are_defined_and_set_against_each_rule(self, home: Path) -> None:
        page, _twin = write_report(report(), home / "out")
        words = text_of(page.read_text())
        assert "at least 8 are missed, at least 20 percentage points more" in words
        assert re.search(r"3 or more of the last 5 days away \u2066\d+ % \(\d+\u2060–\u2060\d+\)", words)
        assert re.search(
            r"At no more false alarms than “a plain CUSUM of days away”, Firstbell sees \u2066\d+ %", words
        )

    def test_of_too_few_breaks_only_that_is_said(self, home: Path) -> None:
        made = report()
        made["breaks"] = judge_breaks([watched_school(1, n=40)], 4.6)
        page, _twin = write_report(made, home / "out")
        words = text_of(page.read_text())
        assert "Too few breaks are over in the judged year" in words
        assert "False alarms per 1,000" not in words

    def test_a_report_made_before_breaks_were_judged_is_still_shown(self, home: Path) -> None:
        made = report()
        del made["breaks"]
        assert breaks(made) is None
        page, _twin = write_report(made, home / "out")
        assert "how soon they are seen" not in page.read_text()

    def test_a_made_up_district_says_so(self, home: Path) -> None:
        page, _twin = write_report(report(made_up=True), home / "out")
        assert "This district is made up." in text_of(page.read_text())


@pytest.mark.django_db
class TestCard:
    @pytest.fixture
    def lead(self, client: Client) -> Client:
        a_school()
        client.force_login(a_user(Role.DISTRICT_LEAD))
        return client

    def card(self, lead: Client) -> str:
        response = lead.get("/model/")
        assert response.status_code == 200
        return text_of(response.content.decode())

    def test_before_any_year_has_closed(self, lead: Client) -> None:
        words = self.card(lead)
        assert "No school year has closed yet, so nothing is learned." in words
        assert "It has not been judged here yet" in words

    def test_a_model_and_its_verdict(self, lead: Client, model: Model) -> None:
        shelf().keep(model)
        backtests.keep(report())
        words = self.card(lead)
        assert "Number 1, learned from" in words
        assert "450 students" in words
        assert "Absences without a reason yet" in words  # an input, with its curve
        assert "It finds" in words
        assert "earlier version" not in words
        assert "Nothing to compare yet." in words

    def test_a_verdict_on_an_earlier_version_counts_no_more(self, lead: Client, model: Model) -> None:
        shelf().keep(model)
        backtests.keep(report(code="0.0.1+old"))
        assert "This was judged with an earlier version of the forecast." in self.card(lead)

    def test_what_changed_since_the_last(self, lead: Client, model: Model) -> None:
        shelf().keep(model)
        backtests.keep(report())
        backtests.keep(report(slope=2))
        words = self.card(lead)
        assert re.search(
            r"offered; average precision \d\.\d+, slope 0\.9\d|offered; average precision \d\.\d+, slope 1\.\d+", words
        )
        assert "not offered: the simple rule is shown; average precision" in words

    def test_a_file_this_version_cannot_use_is_said_to_be_so(self, lead: Client, model: Model, home: Path) -> None:
        shelf().keep(model)
        next((home / "models").glob("1*")).write_text("{")
        assert "made by another version, or its file is damaged" in self.card(lead)

    def test_a_teacher_is_not_shown_it(self, client: Client) -> None:
        client.force_login(a_user(Role.TEACHER, a_school()))
        assert client.get("/model/").status_code == 403
