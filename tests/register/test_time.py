"""Days and moments by the school's own clock: summer time, midnight, leap days, schools far from their district."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from firstbell import clock
from firstbell.register import rows
from firstbell.register.models import Calendar, CalendarDay, DayType, School, SchoolYear
from firstbell.watch.passes import session_times
from tests.build import FIRST_MONDAY, a_calendar, a_school, a_student, mark

pytestmark = pytest.mark.django_db
CHICAGO, LONDON, KATHMANDU = ZoneInfo("America/Chicago"), ZoneInfo("Europe/London"), ZoneInfo("Asia/Kathmandu")


def seconds(day: date, hour: int, minute: int, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp())


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 11, 1), CHICAGO, 25), (date(2027, 3, 14), CHICAGO, 23), (date(2026, 10, 25), LONDON, 25),
        (date(2027, 3, 28), LONDON, 23), (date(2026, 9, 2), KATHMANDU, 24),
    ],
)  # fmt: skip
def test_a_day_ends_at_the_schools_midnight_however_long_it_was(day: date, zone: ZoneInfo, hours: int) -> None:
    began = clock.end_of_day(day - timedelta(days=1), zone)
    assert clock.end_of_day(day, zone) - began == hours * 3600


def test_today_is_the_schools_today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 2, 20, 30, tzinfo=UTC))
    assert clock.today(CHICAGO) == date(2026, 9, 2)
    assert clock.today(KATHMANDU) == date(2026, 9, 3)


@pytest.mark.parametrize(("hour", "minute", "known_that_day"), [(23, 30, True), (0, 30, False)])
def test_what_is_said_just_before_midnight_is_known_that_day_and_just_after_is_not(
    hour: int, minute: int, known_that_day: bool
) -> None:
    school = a_school()  # in Chicago: both moments are already the next day in UTC
    calendar = a_calendar(school, weeks=1)
    ana = a_student(school)
    said_on = FIRST_MONDAY if hour else FIRST_MONDAY + timedelta(days=1)
    mark(calendar, ana, FIRST_MONDAY, "U", recorded=seconds(said_on, hour, minute, CHICAGO))
    known = rows.grid_as_known(calendar, FIRST_MONDAY).grid.codes.tobytes().decode()
    assert (known[0] == "U") is known_that_day
    assert rows.grid_as_known(calendar, FIRST_MONDAY + timedelta(days=1)).grid.codes.tobytes().decode()[0] == "U"


def test_the_first_bell_rings_at_the_same_wall_clock_across_the_change_of_time() -> None:
    school = a_school()
    calendar = a_calendar(school, weeks=10, start=date(2026, 10, 5))
    calendar.sessions, calendar.session_starts = 2, "08:10 12:45"
    summer, winter = (session_times(calendar, day)[0] for day in (date(2026, 10, 30), date(2026, 11, 2)))
    assert (summer.astimezone(UTC).hour, winter.astimezone(UTC).hour) == (13, 14)
    assert (summer.hour, winter.hour) == (8, 8)


def test_a_school_far_from_its_district_keeps_its_own_days() -> None:
    district = a_school().district
    far = School.objects.create(source_id="far", name="Annapurna Hall", district=district, time_zone="Asia/Kathmandu")
    calendar = a_calendar(far, weeks=1)
    ana = a_student(far)
    # half past midnight on Tuesday in Kathmandu, still Monday in Chicago and in UTC
    mark(calendar, ana, FIRST_MONDAY, "U", recorded=seconds(FIRST_MONDAY + timedelta(days=1), 0, 30, KATHMANDU))
    assert rows.grid_as_known(calendar, FIRST_MONDAY).grid.codes.tobytes().decode()[0] == " "


def test_a_leap_day_is_a_school_day_like_any_other() -> None:
    school = a_school()
    year = SchoolYear.objects.create(ends_in=2028, starts=date(2027, 8, 30), ends=date(2028, 6, 9))
    calendar = Calendar.objects.create(school=school, school_year=year, covered_through=date(2028, 3, 1))
    for day in (date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)):
        CalendarDay.objects.create(calendar=calendar, date=day, day_type=DayType.INSTRUCTIONAL)
    ana = a_student(school, starts=date(2028, 2, 29))
    mark(calendar, ana, date(2028, 2, 29), "E")
    (row,) = rows.school_grid(calendar).grid.codes
    assert row.tobytes().decode() == "#EP"
