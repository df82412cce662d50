"""Learning, asking, and keeping a model."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from firstbell.forecast import glassbox
from firstbell.forecast.card import GOES_WRONG, IS_FOR, IS_NOT_FOR
from firstbell.forecast.evidence import COUNTED, EXCUSED, PRESENT, Col
from firstbell.forecast.forecasts import Band, Bars, chances, forecast
from firstbell.forecast.glassbox import TERMS, Temper, fit, venn_abers
from firstbell.forecast.judging import Ranked
from firstbell.forecast.known import Known
from firstbell.forecast.layers import answers, rates, summary
from firstbell.forecast.lines import YEAR_END, Counted, Line, find_line
from firstbell.forecast.model import BadModel, Model, Shelf
from firstbell.forecast.training import (
    LOWEST_BAR,
    _kept_whole,
    bars_for,
    collect,
    fit_layer_two,
    learn_layer_one,
    outcome,
    together,
)
from tests.forecast.district import closed_years

TEN = find_line("example", "ten-unexcused-days")
KEY = (Counted.UNEXCUSED, False, 10)


@pytest.fixture(scope="module")
def model() -> Model:
    years = closed_years()
    learned = {c: learn_layer_one(years, c) for c in Counted}
    two = fit_layer_two(
        collect(years, [TEN, find_line("example", "chronic-absence")], learned, horizons=(10, YEAR_END)), 1500
    )
    return Model(learned, two, (2026,), "2026-08-01", "2026-08-01T04:00:00+00:00", "0+test", 1500, {})


def test_the_model_is_the_same_on_any_number_of_cores() -> None:
    """Of a district whose students were here last year, so that every part of layer 1 has something to do."""
    learn = """
import os, sys
from dataclasses import replace
os.environ["OPENBLAS_NUM_THREADS"] = sys.argv[1]
os.cpu_count = lambda: int(sys.argv[1])
from firstbell.forecast import training
from firstbell.forecast.evidence import Fates
from firstbell.forecast.layers import summary
from firstbell.forecast.lines import Counted, find_line
from firstbell.forecast.model import Model
from tests.forecast.district import closed_years
ends = closed_years(schools=4, every=20)
before = [{c: summary(replace(y.known[-1], kinds=y.final), c, Fates.of_a_closed_year()) for c in Counted} for y in ends]
years = [replace(y, known=[replace(k, before=b) for k in y.known]) for y, b in zip(closed_years(schools=4, seed=2, every=20), before)]
learned = {c: training.learn_layer_one(years, c) for c in Counted}
lines = [find_line("example", "ten-unexcused-days"), find_line("example", "chronic-absence")]
two = training.fit_layer_two(training.collect(years, lines, learned, horizons=(10, 20)), 1000)
two.tempers.update(training.learn_tempers(years, learned))
print(Model(learned, two, (2026,), "", "", "", 1000, {}).as_json())
"""
    one, three = (
        subprocess.run([sys.executable, "-c", learn, cores], capture_output=True, check=True).stdout
        for cores in ("1", "3")
    )
    assert len(json.loads(one)["questions"]) == 4
    assert {t["horizon"] for t in json.loads(one)["tempers"]} == {5, 10, 20, YEAR_END}
    assert one == three


def test_on_a_year_it_has_not_seen_it_beats_the_count_and_is_calibrated(model: Model) -> None:
    chance, reached, count = [], [], []
    for year in closed_years(seed=2):
        for known in year.known:
            f = forecast(known, TEN, 10, model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY], Bars(0.2, 0.1))
            there, already = outcome(year, known, TEN, 10)
            ask = ~np.isnan(f.chance) & ~already
            chance.append(f.chance[ask])
            reached.append(there[ask])
            count.append(f.count[ask])
    p, y, c = (np.concatenate(x) for x in (chance, reached, count))
    assert Ranked(y, p).average_precision > 1.3 * Ranked(y, c.astype(float)).average_precision
    assert abs(p.mean() - y.mean()) < 0.005


def test_a_kept_model_gives_the_very_same_chances(model: Model) -> None:
    known = closed_years(schools=1)[0].known[5]
    model.layer_two.tempers[Counted.UNEXCUSED, True, 10] = Temper(0.9, -0.1, 0.05)
    again = Model.from_json(model.as_json())
    for line, horizon in (
        (TEN, 10),
        (find_line("example", "chronic-absence"), YEAR_END),
        (find_line("gb-eng", "ENG-7-10"), 10),
    ):
        one, two = (
            forecast(known, line, horizon, m.learned[line.counted], *m.layer_two.of(line, horizon)) for m in (model, again)
        )  # fmt: skip
        for field in fields(one):
            assert np.array_equal(
                getattr(one, field.name), getattr(two, field.name), equal_nan=field.name in {"chance", "low", "high"}
            )


def test_one_student_alone_is_answered_as_among_all(model: Model) -> None:
    known = closed_years(schools=1)[0].known[5]
    learned, box = model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY]
    r = rates(known, Counted.UNEXCUSED, learned)
    rows = np.array([7])
    alone = glassbox.inputs(known, r, answers(known, TEN, 10, learned, r, rows), rows)
    among = glassbox.inputs(known, r, answers(known, TEN, 10, learned, r))
    assert np.array_equal(alone[0], among[7])
    assert np.array_equal(box.score(alone, known.band[rows])[0], box.score(among, known.band)[7])


def test_schools_looked_at_together_are_answered_as_each_alone(model: Model) -> None:
    """The first had no last year; the second and third had one."""
    learned, box = model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY]
    schools = [year.known[5] for year in closed_years(schools=3, students=150)]
    last = [{Counted.UNEXCUSED: summary(k, Counted.UNEXCUSED, learned.fates)} for k in schools]
    schools[1:] = [replace(k, before=before) for k, before in zip(schools[1:], last[1:], strict=True)]

    def scores(known: Known) -> NDArray[np.float64]:
        r = rates(known, Counted.UNEXCUSED, learned)
        return box.score(glassbox.inputs(known, r, answers(known, TEN, 10, learned, r)), known.band)

    assert np.allclose(scores(Known.joined(schools)), np.concatenate([scores(k) for k in schools]), rtol=0, atol=1e-9)


def test_schools_are_looked_at_together_only_if_they_share_their_days_and_as_many_have_settled() -> None:
    """Of a running year a school further west has a day less. One of many students is looked at alone."""
    years = closed_years(schools=3, students=30)
    west = replace(years[1], final={c: days[:, :-1] for c, days in years[1].final.items()})
    longer = replace(years[1], known=[replace(k, dates=k.dates[:-1]) for k in years[1].known])
    assert together(years) == [[0, 1, 2]]
    assert together([years[0], west, years[2]]) == [[0, 2], [1]]
    assert together([years[0], longer, years[2]]) == [[0, 2], [1]]
    assert together(closed_years(schools=2, students=2000)) == [[0], [1]]


def test_any_line_is_answered_without_training_for_it(model: Model) -> None:
    known = closed_years(schools=1, seed=3)[0].known[8]
    learned, box = model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY]
    nearer, further = (
        forecast(known, Line(Counted.UNEXCUSED, "", days=n), 10, learned, box, Bars(0.2, 0.1)) for n in (6, 9)
    )
    both = ~np.isnan(nearer.chance)
    assert (nearer.chance[both] >= further.chance[both]).mean() > 0.99


def test_the_reached_have_no_chance_and_everybody_else_has_one(model: Model) -> None:
    known = closed_years(schools=1)[0].known[-1]
    f = forecast(known, TEN, 10, model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY], Bars(0.2, 0.1))
    reached = f.band == Band.REACHED
    assert reached.any()
    assert np.array_equal(reached, np.isnan(f.chance))
    assert (f.low[~reached] <= f.chance[~reached]).all()
    assert (f.chance[~reached] <= f.high[~reached]).all()
    assert np.array_equal(reached, f.count >= 10)


def test_too_few_days_or_stale_marks_say_cannot_tell(model: Model) -> None:
    known = closed_years(schools=1)[0].known[0]  # ten days into the year
    f = forecast(known, TEN, 10, model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY], Bars(0.2, 0.1))
    assert set(f.band) <= {Band.CANNOT_TELL, Band.REACHED}


def test_weights_keep_their_directions(model: Model) -> None:
    for box in model.layer_two.boxes.values():
        for term, weight in zip(TERMS, box.weights, strict=True):
            assert weight * term.direction >= 0, term.name


def test_one_more_counted_day_never_lowers_the_chance(model: Model) -> None:
    """Each term keeps its own direction; this asks it of their sum, also at the end of a long illness."""
    learned, box = model.learned[Counted.UNEXCUSED], model.layer_two.boxes[KEY]
    for year in closed_years(schools=3, seed=6):
        for known in year.known[3::3]:
            ill = known.kinds[Counted.UNEXCUSED].copy()
            ill[::9, -8:-1] = EXCUSED
            known = replace(known, kinds={Counted.UNEXCUSED: ill})
            r = rates(known, Counted.UNEXCUSED, learned)
            rows = np.flatnonzero((ill[:, -1] == PRESENT) & (r.evidence[Col.COUNT] < 9))
            here, _low, _high = chances(known, r, answers(known, TEN, 10, learned, r, rows), box, rows)
            away = ill[rows]
            away[:, -1] = COUNTED
            more = replace(known.only(rows), kinds={Counted.UNEXCUSED: away})
            of_more = rates(more, Counted.UNEXCUSED, learned, among=r.among)
            with_it, _low, _high = chances(more, of_more, answers(more, TEN, 10, learned, of_more), box)
            assert (with_it >= here).mean() > 0.998
            assert (with_it >= 0.95 * here).all()


def test_the_terms_of_an_absence_going_on_by_hand(model: Model) -> None:
    """Forty days. Ana was away the last four with a reason, Bo the last four without leave, Cy eight and the last day without leave.

        Ana  PPPP … PPPP EEEE
        Bo   PPPP … PPPP UUUU
        Cy   UPUP UPUP UPUP UPUP … PPPU

    Of none of Ana's four days a mark is open, for hardly any with a reason ends as counted here; of Bo's all are. One more day is not enough
    for Bo, who has three or four; Cy has nine or nearly.
    """
    crowd = closed_years(schools=1)[0].known[3]
    three = np.full((3, 40), PRESENT, dtype=np.uint8)
    three[0, -4:], three[1, -4:] = EXCUSED, COUNTED
    three[2, :16:2] = three[2, -1] = COUNTED
    kinds = np.vstack([three, crowd.kinds[Counted.UNEXCUSED][3:, :40]])
    known = replace(crowd, through=40, kinds={Counted.UNEXCUSED: kinds})
    learned = model.learned[Counted.UNEXCUSED]
    r = rates(known, Counted.UNEXCUSED, learned)
    ana, bo, cy = (
        dict(zip((t.name for t in TERMS), row, strict=True))
        for row in glassbox.inputs(known, r, answers(known, TEN, 10, learned, r))[:3]
    )
    assert (ana["open"], bo["open"]) == pytest.approx((0, np.log(1 + r.evidence[Col.OPEN][1])))
    assert ana["begun"] < bo["begun"] < cy["begun"]
    assert (ana["one_more"], bo["one_more"]) == (0, 0)
    assert cy["one_more"] == pytest.approx(r.evidence[Col.EXPECTED][2] - 8)
    assert cy["one_more"] > 0.5
    assert bo["needed_share"] == pytest.approx(bo["needed_expected"] * bo["share"])
    assert bo["seldom_stay"] == pytest.approx(-bo["level"] * bo["stay"])


def test_an_alert_that_dipped_and_rose_again_is_not_new_for_the_bar_of_act() -> None:
    """Four looks in six weeks, a hundred students; .15 is half of .3.

        look   1   2   3   4
        Ana   .4  .4  .4  .4    one new alert
        Bo    .3  .2  .3  .2    one: it stands while its student is to be watched
        Cy    .3  .1  .3  .1    two

    Ana and six like Bo are 7 new alerts, 1.17 a week: within an officer's capacity. With Cy it is 9: the bar goes above .3.
    """
    ana, bo, cy = [0.4] * 4, [0.3, 0.2] * 2, [0.3, 0.1] * 2

    def bar(*students: list[float]) -> float:
        who = np.repeat(np.arange(len(students)), 4) * 64
        when = np.tile([15, 20, 25, 30], len(students))
        return bars_for(np.concatenate(students), who, when, np.zeros(len(who), dtype=bool), 100).act

    assert bar(ana, *[bo] * 6) <= 0.3
    assert 0.3 < bar(ana, *[bo] * 6, cy) <= 0.4


def test_of_a_first_look_too_early_to_tell_no_alert_is_counted() -> None:
    who = np.arange(600) * 64
    assert bars_for(np.full(600, 0.5), who, np.full(600, 10), np.zeros(600, dtype=bool), 100).act == LOWEST_BAR
    assert bars_for(np.full(600, 0.5), who, np.full(600, 15), np.zeros(600, dtype=bool), 100).act > 0.5


def test_who_was_thinned_out_while_far_from_the_line_counts_for_the_bar_of_act_too() -> None:
    """Twelve hundred students in eight weeks, each with a chance of .3 near the line, and five weeks before of .1 far from it.

    Only one in twelve's far days are among the examples, so there are 1,300 rows. At .3 there are 1,200 new alerts, at .1 twice as many.
    """
    student = np.arange(1200)
    kept = student[_kept_whole(student)]
    assert 80 < len(kept) < 120
    who = np.concatenate([student, kept]) * 64
    when, chance = np.repeat([40, 15], [1200, len(kept)]), np.repeat([0.3, 0.1], [1200, len(kept)])
    thinned = chance < 0.2

    def bar(student_years: int) -> float:
        return bars_for(chance, who, when, thinned, student_years).act

    assert 0.1 < bar(24_000) <= 0.3  # 1,200 in 8 weeks: .63 for 100; at .1 it would be 1.3
    assert bar(70_000) <= 0.1  # 2,400 in 8 weeks: .43


def test_a_logistic_district_is_learned_back() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40_000, len(TERMS)))
    truth = np.zeros(len(TERMS))
    truth[0], truth[9] = 1.2, -0.7
    y = rng.random(len(x)) < 1 / (1 + np.exp(-(x @ truth - 2)))
    box, _unseen = fit(
        x.astype(np.float32),
        y,
        np.ones(len(x)),
        np.zeros(len(x), dtype=np.int8),
        (np.arange(len(x)) % 2).astype(np.int8),
    )
    assert box.weights[0] == pytest.approx(1.2, abs=0.06)
    assert box.weights[9] == pytest.approx(-0.7, abs=0.06)


def test_intervals_hold_the_share_that_was_seen() -> None:
    rng = np.random.default_rng(2)
    score = rng.normal(-2, 1.5, 20_000)
    y = rng.random(len(score)) < 1 / (1 + np.exp(-score))
    cut, low, high = venn_abers(score, y, np.ones(len(score)))
    assert (low <= high).all()
    step = np.searchsorted(cut, score)
    for k in np.unique(step):
        there = step == k
        if there.sum() > 300:
            share = y[there].mean()
            assert low[k] - 0.06 <= share <= high[k] + 0.06


def test_with_too_little_to_learn_from_layer_one_serves_alone() -> None:
    years = closed_years(schools=1, students=20)
    learned = {c: learn_layer_one(years, c) for c in Counted}
    two = fit_layer_two(collect(years, [TEN], learned, horizons=(10,)), 1500)
    assert two.boxes == {}
    known: Known = years[0].known[5]
    f = forecast(known, TEN, 10, learned[Counted.UNEXCUSED], None, Bars(0.2, 0.1))
    assert np.isfinite(f.chance[f.band != Band.REACHED]).all()


def test_its_file_is_its_card(model: Model) -> None:
    """What it is for, what it reads, how it did of students it was not fitted on: in the file itself, for whoever has only that."""
    raw = json.loads(model.as_json())
    assert raw["card"]["for"] == list(IS_FOR)
    assert raw["card"]["not_for"] == list(IS_NOT_FOR)
    assert raw["card"]["goes_wrong"] == list(GOES_WRONG)
    assert list(raw["card"]["inputs"]) == raw["terms"]
    for question in raw["questions"]:
        figures = question["figures"]
        assert 0 < figures["share"] < figures["average_precision"] < 1  # better than a list in any order
        assert figures["reached"] < figures["rows"]


class TestShelf:
    def test_the_last_one_kept_is_in_use_until_another_is_chosen(self, tmp_path: Path, model: Model) -> None:
        shelf = Shelf(tmp_path / "models")
        assert shelf.load() is None
        assert (shelf.keep(model), shelf.keep(model)) == (1, 2)
        assert shelf.current() == 2
        shelf.use(1)
        assert shelf.current() == 1
        assert shelf.numbers() == [1, 2]

    def test_a_broken_file_is_refused_and_the_one_in_use_stays(self, tmp_path: Path, model: Model) -> None:
        shelf = Shelf(tmp_path)
        shelf.keep(model)
        (tmp_path / "7.json").write_text(model.as_json()[:4000])
        for number, words in ((7, "cut short"), (9, "There is no model 9")):
            with pytest.raises(BadModel, match=words):
                shelf.use(number)
        assert shelf.current() == 1

    def test_a_model_of_other_terms_is_refused(self, tmp_path: Path, model: Model) -> None:
        text = model.as_json().replace('"chance_year"', '"shoe_size"', 1)
        with pytest.raises(BadModel, match="Train anew"):
            Model.from_json(text)

    def test_a_model_of_an_earlier_format_is_refused(self, model: Model) -> None:
        raw = json.loads(model.as_json())
        raw["format"] = 1
        with pytest.raises(BadModel, match="this version reads format 3"):
            Model.from_json(json.dumps(raw))
