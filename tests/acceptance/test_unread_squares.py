"""A square somebody spoke of in words nobody can read is not known, and never present by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstbell.intake.mapping import map_code
from firstbell.intake.models import Source
from firstbell.intake.work import retry
from firstbell.register import rows
from firstbell.register.marks import LegalStatus, Mark, Presence
from tests.acceptance.district import bring, marks, refused, squares

pytestmark = pytest.mark.django_db


def test_a_row_that_waits_or_was_refused_leaves_its_squares_unknown(tmp_path: Path) -> None:
    bring(tmp_path / "d", rolls=None, attendance=marks("s1,alder,2026-09-02,,QQ,,,,", "s1,alder,2026-09-03,1,U,x,,,"))
    day = squares("s1")[0].split()
    assert (day[2], day[3]) == ("..", ".P")
    assert list(rows.check()) == []


def test_once_its_code_is_mapped_the_row_is_read(tmp_path: Path) -> None:
    bring(tmp_path / "d", rolls=None, attendance=marks("s1,alder,2026-09-02,,QQ,,,,"))
    source = Source.objects.get()
    map_code(source, "QQ", Mark(Presence.ABSENT, LegalStatus.AUTHORISED), "test")
    retry(source, "test")
    assert squares("s1")[0].split()[2] == "EE"


def test_mended_and_sent_again_the_row_is_read(tmp_path: Path) -> None:
    bring(tmp_path / "d", rolls=None, attendance=marks("s1,alder,2026-09-03,1,U,x,,,"))
    bring(tmp_path / "e", rolls=None, attendance=marks("s1,alder,2026-09-03,1,U,20,,,"))
    assert squares("s1")[0].split()[3] == "UP"


def test_a_moment_to_come_is_no_time_of_recording(tmp_path: Path) -> None:
    done = bring(tmp_path / "d", rolls=None, attendance=marks("s1,alder,2026-09-01,1,U,,,2036-09-01T10:00:00Z,x"))
    assert {column for _f, _l, column, _v in refused(done)} == {"recordedAt"}
    assert squares("s1")[0].split()[1] == ".P"
