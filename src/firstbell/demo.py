"""The demo district: made by the simulator, exported as files, brought in through intake like anybody's, looked over, and opened."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, time, timedelta

import typer
from django.conf import settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from firstbell import clock
from firstbell.access import policy
from firstbell.access.models import Role, User
from firstbell.access.people import give_role
from firstbell.casework.adopted import adopted, packs_of
from firstbell.casework.adopting import approve, propose
from firstbell.casework.done import confirm, record_done
from firstbell.casework.firings import look_over
from firstbell.casework.models import Firing
from firstbell.casework.steps import asking_rules
from firstbell.intake.command import import_command
from firstbell.law.clock import Status
from firstbell.register.models import District, School, Section
from firstbell.simulator.behaviour import USUAL, Options
from firstbell.simulator.calendars import demo_day
from firstbell.simulator.export import ZONE, make_district
from firstbell.watch.drawing import draw_looks
from firstbell.watch.learning import learn_and_judge
from firstbell.watch.models import Pass
from firstbell.watch.passes import current_year, run_pass

PASSWORD = "look-around-firstbell"  # noqa: S105 - of made-up people, printed on the screen
MORNING = time(8, 40)


def open_demo(*, students: int, seed: int, port: int, options: Options = USUAL) -> None:
    """Make the district unless it is there, and print who can sign in."""
    console = Console()
    if Pass.objects.exclude(finished_at=None).exists() and clock.demo_start():
        console.print("The demo district is already here (make clean forgets it).")
    else:
        if District.objects.exists() and not (settings.HOME / "demo-files").exists():
            raise typer.BadParameter(
                f"{settings.HOME} already holds a district that is not a demo. Nothing was changed. "
                "Choose another home: FIRSTBELL_HOME=./demo-home make demo"
            )
        _make(console, students, seed, options)
    _sign_ins(console, port)


def _make(console: Console, students: int, seed: int, options: Options) -> None:
    files = settings.HOME / "demo-files"
    shutil.rmtree(files, ignore_errors=True)
    today = demo_day(datetime.now(ZONE).date())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Making the district", total=None)
        made = make_district(
            files, students=students, seed=seed, today=today, hour=MORNING, options=options,
            progress=lambda words, done, total: progress.update(task, description=words, completed=done, total=total),
        )  # fmt: skip
    console.print(f"{made.students:,} students at {made.schools} schools; {made.marks:,} marks written to {files}.")
    (settings.HOME / "demo-clock").write_text(datetime.combine(today, MORNING, ZONE).astimezone(UTC).isoformat())
    clock.demo_start.cache_clear()
    if import_command(files, source_name="demo", dry_run=False, yes=True, accept_bounds=[], complete_through=None):
        raise typer.Exit(1)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Learning from last year", total=None)
        learn_and_judge(lambda words, n, total: progress.update(task, description=words, completed=n, total=total))
    _people()
    _law()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Looking it over", total=None)
        done = run_pass(progress=lambda n, total: progress.update(task, completed=n, total=total))
    console.print(f"{done.students:,} students looked over; {done.opened:,} alerts.")
    draw_looks()
    look_over()
    with Progress(*columns, console=console) as progress:
        _deeds(progress)


def _people() -> None:
    """One account of each role, at the first primary and its high school, so that what one does another sees."""
    primary, high = School.objects.order_by("source_id")[0], School.objects.order_by("source_id")[5]
    year = current_year(clock.now().date())
    homeroom = Section.objects.filter(
        calendar__school=primary, calendar__school_year=year, teachers__isnull=False
    ).order_by("source_id")[0]
    teacher = homeroom.teachers.order_by("pk")[0]
    starts = clock.now().date().replace(month=1, day=1)
    for email, name, role, school, staff, office in (
        ("officer@demo.example", "Olive Fairley", Role.OFFICER, primary, None, ""),
        ("officer@demo.example", "Olive Fairley", Role.OFFICER, high, None, ""),
        ("lead@demo.example", "Dana Okafor", Role.SCHOOL_LEAD, primary, None, ""),
        ("lead@demo.example", "Dana Okafor", Role.SCHOOL_LEAD, high, None, ""),
        ("teacher@demo.example", teacher.name, Role.TEACHER, primary, teacher, ""),
        ("district@demo.example", "Rosa Lindqvist", Role.DISTRICT_LEAD, None, None, ""),
        ("board@demo.example", "Tom Weiss", Role.DISTRICT_LEAD, None, None, ""),
        ("data@demo.example", "Ken Abara", Role.DATA_STEWARD, None, None, ""),
        # Texas's rules need no such signature; most other states' do, and somebody may adopt them here
        ("superintendent@demo.example", "Ines Marrow", Role.SCHOOL_LEAD, None, None, "superintendent"),
    ):
        give_role(
            email, role, name=name, school_id=school.source_id if school else None, staff_id=staff.source_id if staff else None,
            office=office, password=PASSWORD, starts=starts, by="demo",
        )  # fmt: skip


def _law() -> None:
    """The district goes by Texas’s rules since its year began."""
    year = current_year(clock.now().date())
    assert year is not None
    rosa, tom = (User.objects.get(email=f"{name}@demo.example") for name in ("district", "board"))
    approve(tom, propose(rosa, "us-tx", year.starts))


def _deeds(progress: Progress) -> None:
    """What the law has asked of the officer's schools was done some days later, mostly; what was asked in the last two weeks waits."""
    olive, dana = (User.objects.get(email=f"{name}@demo.example") for name in ("officer", "lead"))
    today = clock.now().date()
    chance = random.Random(today.toordinal())  # noqa: S311 - a made-up history
    asking = asking_rules(packs_of(adopted(today)))
    asked = Firing.objects.for_user(olive).filter(
        status=Status.DUTY_OPEN, superseded_at=None, rule__in=asking, fired_on__lte=today - timedelta(days=14)
    )
    for firing in progress.track(list(asked.select_related("student")), description="Putting on record what was done"):
        duty = asking[firing.rule].duty
        if duty is None or chance.random() < 0.08:
            continue
        on = firing.fired_on + timedelta(days=chance.randint(1, 9))
        while on.weekday() > 4:
            on += timedelta(days=1)
        kind = duty.shown_by[0]
        done = record_done(
            olive, firing.student, kind, on, today, rule=f"{firing.pack}/{firing.rule}", key=f"demo-{firing.pk}"
        )
        if policy.why(dana, firing.student) is not None:
            confirm(dana, done, today)


def _sign_ins(console: Console, port: int) -> None:
    table = Table(title=f"Sign in on http://localhost:{port} with the password {PASSWORD}")
    table.add_column("As")
    table.add_column("Email address")
    for user in User.objects.filter(email__endswith="@demo.example").prefetch_related("assignments").order_by("pk"):
        table.add_row(
            ", ".join(dict.fromkeys(a.office or a.get_role_display() for a in user.assignments.all())), user.email
        )
    console.print(table)
