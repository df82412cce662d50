"""A mark entered by day reaches a line, or undoes it, before the night: the step, and the apology for a letter, come with the next job."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from firstbell import clock
from firstbell.access.models import Role
from firstbell.casework.adopted import adopted
from firstbell.casework.adopting import tell_watch
from firstbell.casework.done import record_done
from firstbell.casework.letters import deeds
from firstbell.casework.letters.models import Letter
from firstbell.casework.models import Adoption, Firing
from firstbell.casework.steps import steps_for
from firstbell.jobs.models import Job
from firstbell.jobs.worker import Worker
from firstbell.register.models import Calendar, Student
from firstbell.watch import live, passes
from firstbell.watch.models import SchoolChange
from tests.build import FIRST_MONDAY, a_section, a_student, a_user, draw, mark
from tests.casework.letters_scene import RULE, TODAY, Scene, set_the_scene

pytestmark = [pytest.mark.django_db, pytest.mark.database]
WHY = "a test looks"


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = set_the_scene(monkeypatch)
    tell_watch()
    return made


def entered(calendar: Calendar, student: Student, day: date, letter: str) -> None:
    """A mark, as whoever enters it sees it: answered at once, the law asked beside."""
    mark(calendar, student, day, letter, recorded=clock.seconds(clock.now()))
    live.marks_changed(calendar, [student.pk])


def worked_off() -> None:
    worker = Worker()
    while worker.run_one():
        pass
    assert not Job.objects.exclude(state=Job.State.DONE).exists()


def on_record(student: Student) -> list[tuple[str, bool]]:
    some = Firing.objects.system(WHY).filter(student=student, rule=RULE)
    return [(f.rule, f.superseded_at is not None) for f in some]


def test_a_tenth_absence_entered_by_day_opens_the_duty(scene: Scene) -> None:
    ben = a_student(scene.school, name="Ben")
    draw(scene.calendar, ben, "UUUUU UUUUP")
    record_done(scene.officer, ben, "support_offered", TODAY, TODAY, note="a bus ticket", key="help")
    entered(scene.calendar, ben, FIRST_MONDAY + timedelta(days=11), "P")
    worked_off()
    assert on_record(ben) == []
    entered(scene.calendar, ben, FIRST_MONDAY + timedelta(days=11), "U")
    assert on_record(ben) == []  # whoever entered it has not waited
    number = SchoolChange.objects.get(pk=scene.school.pk).number
    worked_off()
    assert on_record(ben) == [(RULE, False)]
    assert "Ben" in [step.student.given_name for step in steps_for(scene.officer, adopted(TODAY), TODAY)[0]]
    assert SchoolChange.objects.get(pk=scene.school.pk).number > number  # open pages are told


def test_a_late_note_undoes_the_line_and_drafts_the_apology(scene: Scene) -> None:
    letter = scene.draft()
    signed = deeds.sign(scene.officer, letter, letter.version, {}, TODAY)
    entered(scene.calendar, scene.ana, FIRST_MONDAY, "E")
    worked_off()
    assert on_record(scene.ana) == [(RULE, True)]
    (apology,) = Letter.objects.system(WHY).filter(correction_of=signed)
    assert (apology.kind, apology.state) == (Letter.Kind.CORRECTION, Letter.State.DRAFT)


def test_an_import_has_the_law_asked_about_its_school(scene: Scene) -> None:
    ben = a_student(scene.school, name="Ben")
    draw(scene.calendar, ben, "UUUUU UUUUU P")
    passes.rescore_calendar(str(scene.calendar.pk))
    worked_off()
    assert on_record(ben) == [(RULE, False)]


def test_a_roll_of_a_day_that_is_not_over_asks_nothing_of_the_law(scene: Scene) -> None:
    section = a_section(scene.calendar, scene.ana)
    teacher = a_user(Role.TEACHER, scene.school)
    Calendar.objects.update(covered_through=TODAY - timedelta(days=1))
    section.calendar.refresh_from_db()
    live.roll(section, TODAY, 0, exceptions=[], present=[], by=teacher, key="k")
    assert not Job.objects.exists()


def test_without_a_law_nothing_is_asked(scene: Scene) -> None:
    Adoption.objects.update(withdrawn_at=clock.now())
    tell_watch()
    entered(scene.calendar, scene.ana, FIRST_MONDAY, "E")
    assert not Job.objects.exists()
