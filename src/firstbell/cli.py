"""`firstbell …`: the one command. Each room's command function is mounted here; nothing is decided here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Firstbell, the working desk of a school attendance officer.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
register_app = typer.Typer(help="The register itself.", no_args_is_help=True)
audit_app = typer.Typer(help="The audit.", no_args_is_help=True)
model_app = typer.Typer(help="Trained models: which there are, and which is in use.", no_args_is_help=True)
app.add_typer(register_app, name="register")
app.add_typer(audit_app, name="audit")
app.add_typer(model_app, name="model")
law_app = typer.Typer(help="Law packs: statutes as data, and where they put a student.", no_args_is_help=True)
app.add_typer(law_app, name="law")


class Spells(StrEnum):
    """How long absence lasts in a made-up district."""

    WEAK = "weak"
    USUAL = "usual"
    STRONG = "strong"


class Shocks(StrEnum):
    USUAL = "usual"
    SHIFTED = "shifted"


def _set_up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "firstbell.settings")
    import django

    django.setup()


def _ready_database() -> None:
    """Bring the database up to this version; safe to repeat and beside each other, and quick when there is nothing to do."""
    from django.core.checks import run_checks
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    if wrong := run_checks(tags=["firstbell"]):  # before anything is written
        for message in wrong:
            typer.echo(f"{message.msg} {message.hint}", err=True)
        raise typer.Exit(1)

    def behind() -> bool:
        executor = MigrationExecutor(connection)
        return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))

    if not behind():
        return
    if connection.vendor != "postgresql":
        call_command("migrate", verbosity=0, interactive=False)
        return
    with (
        connection.cursor() as cursor
    ):  # of several processes that start after an upgrade, one migrates and the others wait
        cursor.execute("SELECT pg_advisory_lock(%s)", [0x1F1B5E13])
        try:
            if behind():
                call_command("migrate", verbosity=0, interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [0x1F1B5E13])


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="The port to answer on.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to answer on.")] = "127.0.0.1",
    work: Annotated[bool, typer.Option(help="Also run the worker in this process.")] = True,
) -> None:
    """Serve the desk, with a worker beside it."""
    _set_up()
    from firstbell.serving import serve_desk

    _ready_database()
    serve_desk(host, port, work=work)


@app.command()
def worker() -> None:
    """Run jobs: imports, the nightly pass, messages. Any number may run beside each other on PostgreSQL."""
    import signal

    _set_up()
    from firstbell.jobs.worker import Worker

    _ready_database()
    running = Worker()
    signal.signal(signal.SIGTERM, lambda *_: running.stop())
    try:
        running.run()
    except KeyboardInterrupt:
        running.stop()


@app.command()
def demo(
    students: Annotated[int, typer.Option(help="How many students the demo district has.")] = 4000,
    serve: Annotated[bool, typer.Option(help="Serve the desk when the district is ready.")] = True,
    port: Annotated[int, typer.Option(help="The port to answer on.")] = 8000,
    seed: Annotated[int, typer.Option(help="Another seed, another district.")] = 1,
    spells: Annotated[Spells, typer.Option(help="How long absence lasts once begun.")] = Spells.USUAL,
    breaks: Annotated[bool, typer.Option(help="Whether students break off from their own pattern.")] = True,
    shocks: Annotated[
        Shocks, typer.Option(help="Whether bad days fall where the calendar has them, or a few days later.")
    ] = Shocks.USUAL,
    year_correlation: Annotated[
        float, typer.Option(help="How much of a student's year follows from the last: 0.5 to 1.")
    ] = 0.75,
) -> None:
    """Make the demo district (the first time), run the nightly pass, print the sign-ins and serve the desk."""
    _set_up()
    from firstbell.demo import open_demo
    from firstbell.simulator.behaviour import SHIFTED_DAYS, SPELLS, Options

    try:
        options = Options(SPELLS[spells], breaks, SHIFTED_DAYS if shocks is Shocks.SHIFTED else 0, year_correlation)
    except ValueError as error:
        raise typer.BadParameter(f"{error}. Nothing was made.") from None
    _ready_database()
    open_demo(students=students, seed=seed, port=port, options=options)
    if serve:
        from firstbell.serving import serve_desk

        serve_desk("127.0.0.1", port, work=True)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A folder, a zip, or one file.")],
    source: Annotated[str | None, typer.Option(help="Which source this is from; one name a sending system.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and apply nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply without asking. A bound that is passed still holds.")
    ] = False,
    accept_bound: Annotated[list[str] | None, typer.Option(help="Apply although this bound is passed.")] = None,
    complete_through: Annotated[
        str | None, typer.Option(help="The last day (YYYY-MM-DD) this delivery says everything about.")
    ] = None,
    code_set: Annotated[
        str | None, typer.Option(help="The built-in set this source's codes are of: simple, edfi, ceds or dfe.")
    ] = None,
) -> None:
    """Bring a school system's export in: stage, check, show what would change, apply all or nothing."""
    _set_up()
    from firstbell.intake.command import import_command

    _ready_database()
    raise typer.Exit(
        import_command(
            path, source_name=source, dry_run=dry_run, yes=yes, accept_bounds=accept_bound or [],
            complete_through=complete_through, code_set=code_set,
        )
    )  # fmt: skip


@app.command()
def nightly(
    as_of: Annotated[str | None, typer.Option(help="Judge as of this day (YYYY-MM-DD), as known then.")] = None,
    engine: Annotated[str, typer.Option(help="Where it runs: here (this process), or spark.")] = "here",
    master: Annotated[str, typer.Option(help="With --engine spark: its master, spark://host:7077.")] = "local[*]",
    grid: Annotated[
        str | None, typer.Option(help="With --engine spark: the folder export-grid wrote; else it is written first.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Also the schools of which nothing has changed since the last pass.")
    ] = False,
) -> None:
    """Run the nightly pass: signals over every register, alerts opened, withdrawn and expired; then everybody under the law."""
    if engine not in ("here", "spark"):
        raise typer.BadParameter("here or spark", param_hint="--engine")
    _set_up()
    if engine == "spark":
        _nightly_on_spark(master, grid, _date(as_of))
        return
    from rich.progress import Progress

    from firstbell.watch.passes import run_pass

    _ready_database()
    with Progress(transient=True) as progress:
        task = progress.add_task("Nightly pass", total=None)
        done = run_pass(
            as_of=_date(as_of),
            progress=lambda n, total: progress.update(task, completed=n, total=total),
            everything=everything,
        )
    typer.echo(f"{done.students:,} students; {done.opened:,} alerts opened, {done.withdrawn:,} withdrawn.")
    if as_of is None:
        _under_the_law()


def _under_the_law() -> None:
    from firstbell.casework.firings import look_over

    looked = look_over()
    if looked.students:
        typer.echo(
            f"Under the law: {looked.reached:,} lines newly reached, {looked.superseded:,} undone by corrected marks."
        )
    for rule, why in looked.not_evaluable.items():
        typer.echo(f"{rule} could not be asked: {why}")


def _nightly_on_spark(master: str, grid: str | None, as_of: date | None) -> None:
    from firstbell.watch.export import NotWritten
    from firstbell.watch.spark import NotRun, run_pass_on_spark

    _ready_database()
    try:
        with _progress() as progress:
            done = run_pass_on_spark(master, grid, as_of=as_of, progress=progress)
    except (NotRun, NotWritten) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{done.students:,} students; {done.opened:,} alerts opened, {done.withdrawn:,} withdrawn.")


@app.command("export-grid")
def export_grid(
    folder: Annotated[Path, typer.Argument(help="The folder to write; a grid that is there already is replaced.")],
    as_of: Annotated[str | None, typer.Option(help="As known at the end of this day (YYYY-MM-DD).")] = None,
) -> None:
    """Write the register grid as Parquet, for the nightly pass on Spark. No names of people, only source ids."""
    _set_up()
    from firstbell.watch import export

    _ready_database()
    try:
        with _progress() as progress:
            done = export.export_grid(folder, _date(as_of), lambda n, total: progress("Writing the grid", n, total))
    except export.NotWritten as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{done.students:,} students of {done.schools:,} schools written to {folder}.")


@app.command()
def train(
    through: Annotated[
        str | None,
        typer.Option(help="Learn from school years closed by the end of this day (YYYY-MM-DD), as known then."),
    ] = None,
) -> None:
    """Train the forecast on this district's closed school years, keep the model and use it."""
    _set_up()
    from firstbell import clock
    from firstbell.watch import forecasting

    _ready_database()
    day = _date(through) or clock.now().date()
    with _progress() as progress:
        model = forecasting.train(day, progress)
    number = forecasting.shelf().keep(model)
    typer.echo(
        f"Model {number}, learned from {forecasting.years_words(model)} ({model.students:,} students), is in use."
    )


@app.command()
def backtest(
    out: Annotated[
        Path | None, typer.Option(help="The folder for backtest.html and backtest.json; else beside the data.")
    ] = None,
) -> None:
    """Judge the forecast on this district's own past, and from now on offer it only where it beat the simple rule."""
    _set_up()
    from django.conf import settings

    from firstbell.insight.report import questions, write_report
    from firstbell.watch import backtests

    _ready_database()
    with _progress() as progress:
        report, _model = backtests.backtest(progress)
    backtests.keep(report)
    page, twin = write_report(report, out or Path(settings.HOME) / "backtests" / "latest")
    for q in questions(report):
        typer.echo(f"{'offered    ' if q.offered else 'not offered'}  {q.title}, {q.horizon}: {q.verdict}")
    typer.echo(f"The report: {page}\nThe same as JSON: {twin}")


@model_app.command("list")
def model_list() -> None:
    """Every model kept, and the one in use."""
    _set_up()
    from firstbell.watch import forecasting

    kept = forecasting.shelf()
    for number in kept.numbers():
        in_use = "  in use" if number == kept.current() else ""
        try:
            model = kept.load(number)
        except forecasting.BadModel as error:
            typer.echo(f"{number}  {error}{in_use}")
            continue
        assert model is not None
        typer.echo(f"{number}  made {model.made_at}  of {forecasting.years_words(model)}  code {model.code}{in_use}")
    if not kept.numbers():
        typer.echo("No model yet. One is made by: firstbell train")


@model_app.command("use")
def model_use(number: Annotated[int, typer.Argument(help="A number that `firstbell model list` shows.")]) -> None:
    """Use this model from now on: the way back to the last good one."""
    _set_up()
    from firstbell.watch.forecasting import shelf

    shelf().use(number)
    typer.echo(f"Model {number} is in use.")


@app.command()
def forecast(
    as_of: Annotated[
        list[str], typer.Option(help="A day (YYYY-MM-DD), as known at its end; give it again for more days.")
    ],
    pack: Annotated[str, typer.Option(help="The law pack.")],
    rule: Annotated[str, typer.Option(help="A rule of the pack.")],
    horizon: Annotated[str, typer.Option(help="School days ahead, or year-end.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    train_through: Annotated[
        str | None, typer.Option(help="Learn only from school years closed by the end of this day (YYYY-MM-DD).")
    ] = None,
) -> None:
    """Write every student's chance of reaching a line, as known then: learned only from what had closed before."""
    _set_up()
    from firstbell.forecast.lines import HORIZONS, YEAR_END, find_line
    from firstbell.watch import backtests, forecasting

    line = find_line(pack, rule)
    if horizon != "year-end" and not horizon.isdigit():
        raise typer.BadParameter("school days (5, 10, 20, …) or year-end", param_hint="--horizon")
    days = YEAR_END if horizon == "year-end" else int(horizon)
    if horizon != "year-end" and not 1 <= days <= 260:
        raise typer.BadParameter("from 1 to 260 school days, or year-end", param_hint="--horizon")
    _ready_database()
    asked = [_date(d) for d in as_of]
    with _progress() as progress:
        rows = forecasting.forecast_file(
            [d for d in asked if d], line, days, out, through=_date(train_through), progress=progress
        )
    typer.echo(f"{rows:,} forecasts of {len(set(asked)):,} days written to {out}.")
    if alone := forecasting.untaught(sorted({d for d in asked if d}), _date(train_through)):
        typer.echo(
            f"No school year had closed before {', '.join(map(str, alone[:3]))}{' …' if len(alone) > 3 else ''}: these are chances of counts and pooled rates "
            "alone, and nothing has shown how good they are."
        )
    if backtests.is_current(backtests.kept()) and backtests.offer_of(line, days) is None:
        typer.echo(
            "The last backtest does not offer this question here: nothing has shown that these beat a rule kept by hand."
        )
    if days not in HORIZONS:
        typer.echo("No model is trained for this horizon: these are layer 1's chances alone.")


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no date; write it as 2026-11-23. Nothing was done.") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a stage, on the terminal."""
    from rich.progress import Progress, TaskID

    tasks: dict[str, TaskID] = {}
    with Progress(transient=True) as bars:

        def say(words: str, done: int, total: int) -> None:
            if words not in tasks:
                tasks[words] = bars.add_task(words, total=total)
            bars.update(tasks[words], completed=done, total=total)

        yield say


@law_app.command("try")
def law_try(file: Annotated[Path, typer.Argument(help="A scenario (TOML): docs/law.md says what goes in it.")]) -> None:
    """Print, as JSON, where one student's story puts them under a pack's rules. No database is read."""
    import json

    from firstbell.law.scenario import ask, read_scenario, told

    answer = ask(read_scenario(_text(file), str(file)))
    typer.echo(json.dumps(told(answer), indent=2, ensure_ascii=False))


@law_app.command("packs")
def law_packs() -> None:
    """The packs there are, with their versions and whether counsel has verified them."""
    from firstbell.law.packs import built_in

    for name, some in built_in().items():
        for pack in some:
            verified = (
                f"verified {pack.verified_on} by {pack.verified_by}" if pack.verified_on else "not verified by counsel"
            )
            typer.echo(f"{name:<10} {pack.version}  {len(pack.rule):>2} rules  {pack.status}, {verified}  {pack.title}")


@law_app.command("check")
def law_check(file: Annotated[Path, typer.Argument(help="A pack (TOML).")]) -> None:
    """Read a pack, and say what is wrong with it, by the line."""
    from firstbell.law.packs import read_pack

    pack = read_pack(_text(file), str(file))
    typer.echo(f"{pack.title}: {len(pack.rule)} rules, in force from {pack.effective_from}. Nothing is wrong with it.")


@law_app.command("schema")
def law_schema() -> None:
    """Print the JSON Schema of a pack."""
    import json

    from firstbell.law.packs import schema

    typer.echo(json.dumps(schema(), indent=2))


@law_app.command("replay")
def law_replay(
    pack: Annotated[str, typer.Option(help="A built-in pack, or a pack's file (TOML).")],
    year: Annotated[int, typer.Option(help="The school year, by the calendar year it ends in.")],
    version: Annotated[str, typer.Option(help="The version (its first day); else the newest.")] = "",
    overlay: Annotated[Path | None, typer.Option(help="The district's own rules on top (TOML).")] = None,
    line: Annotated[str, typer.Option(help="One line somewhere else: RULE=12, or RULE=1/12 of a share.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write all sums to this file, .csv or .json.")] = None,
    who: Annotated[Path | None, typer.Option(help="Write to this CSV file who was reached, and when: the students' and schools' ids in the student information system, a row a rule, law and time. It is about single students: keep it as such.")] = None,
) -> None:  # fmt: skip
    """Replay a pack over a year of this district's register, beside the law in force. In the sums no student is named, and no number under ten told."""
    if out is not None and out.suffix not in (".csv", ".json"):
        raise typer.BadParameter("a file that ends in .csv or .json", param_hint="--out")
    if who is not None and who.suffix != ".csv":
        raise typer.BadParameter("a file that ends in .csv", param_hint="--who")
    own = _text(overlay) if overlay is not None else ""
    _set_up()
    import json

    from firstbell.access import audit
    from firstbell.casework.replay_document import as_csv
    from firstbell.casework.replay_students import students_csv
    from firstbell.casework.replaying import NotReplayed, reached, replay, tried_pack
    from firstbell.register.models import Student

    _ready_database()
    rule, _equals, number = line.partition("=")
    try:
        tried = tried_pack(pack, version=version, overlay=own, rule=rule, line=number, where=str(overlay))
        with _progress() as progress:
            made = replay(tried, year, lambda done, total: progress("Replaying", done, total))
    except NotReplayed as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    audit.record("command line", "replayed", "", f"{tried.id} {tried.version} {year}")
    for found in made["rules"]:
        told = [
            f"{name.replace('_', ' ')}: {side['why'] or ('kept back' if side['students'] is None else format(side['students'], ','))}"
            for name, side in found["sides"].items()
        ]
        typer.echo(f"{found['id']}  {', '.join(told)}")
    if out is not None:
        out.write_text(
            as_csv(made) if out.suffix == ".csv" else json.dumps(made, indent=2, ensure_ascii=False), "utf-8"
        )
        typer.echo(f"Written to {out}.")
    if who is not None:
        some = reached(tried, year)
        ids = dict(Student.objects.system("a data steward asks who a replay reaches").values_list("pk", "source_id"))
        students = len({one.student for one in some})
        audit.record("command line", "replayed_who", "", f"{tried.id} {tried.version} {year}: {students} students")
        who.touch(mode=0o600)
        who.write_text(students_csv(some, ids), "utf-8")
        typer.echo(f"Who was reached, {students:,} students: written to {who}.")


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise typer.BadParameter(f"There is no file {file}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} could not be read as text: {error}.") from None


@register_app.command("check")
def register_check() -> None:
    """Refold every register row from its events and compare with what is stored."""
    _set_up()
    from firstbell.register.rows import check

    _ready_database()
    wrong = 0
    for mismatch in check():
        wrong += 1
        typer.echo(
            f"{mismatch.calendar.school.name}: enrolment {mismatch.enrolment_id} is not the fold of its events",
            err=True,
        )
    typer.echo("Every register row is the fold of its events." if not wrong else f"{wrong} rows differ.")
    raise typer.Exit(1 if wrong else 0)


@audit_app.command("verify")
def audit_verify() -> None:
    """Walk the audit's chain and name the first line that was changed or removed, if any."""
    _set_up()
    from firstbell.access.audit import verify
    from firstbell.access.models import AuditEntry

    _ready_database()
    broken = verify()
    if broken is not None:
        typer.echo(f"The audit does not add up at entry {broken.entry}: {broken.problem}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{AuditEntry.objects.count():,} entries, each following from the one before.")


@app.command("user")
def make_user(
    email: Annotated[str, typer.Argument(help="Their address, which they sign in with.")],
    role: Annotated[str, typer.Option(help="officer, school_lead, teacher, district_lead or data_steward")],
    school: Annotated[str | None, typer.Option(help="The school's source id; empty: the whole district.")] = None,
    staff: Annotated[str | None, typer.Option(help="For a teacher: their source id in the school system.")] = None,
    name: Annotated[str, typer.Option(help="First and last name.")] = "",
    office: Annotated[
        str,
        typer.Option(
            help="For an officer or school_lead: the office of the law's they sign for, as the pack calls it."
        ),
    ] = "",
    first_day: Annotated[str | None, typer.Option(help="From which day (YYYY-MM-DD); empty: today.")] = None,
) -> None:
    """Make an account, or give an account a further role. Prints a first password once."""
    _set_up()
    from firstbell.access.people import NotMade, give_role

    _ready_database()
    try:
        password = give_role(
            email, role, school_id=school, staff_id=staff, name=name, office=office, starts=_date(first_day)
        )
    except NotMade as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if password:
        typer.echo(f"{email} signs in with this password, shown once: {password}")
    else:
        typer.echo(f"{email} now has this role too; their password is as it was.")
    if office:
        _say_whether_asked_for(office)


def _say_whether_asked_for(office: str) -> None:
    """An office no rule calls by this name would sign for nothing, and nobody would know why."""
    from firstbell.access.policy import today
    from firstbell.casework.adopted import adopted, packs_of
    from firstbell.casework.signatures import asked_offices, same_office

    asked = asked_offices(packs_of(adopted(today())))
    if not any(same_office(office, name) for name in asked):
        names = f"; the offices its rules ask for are: {', '.join(asked)}" if asked else ""
        typer.echo(f"No rule of the law in force here asks for {office!r} now{names}.")


@app.command("end-role")
def end_role(
    email: Annotated[str, typer.Argument(help="Whose role ends.")],
    role: Annotated[str, typer.Option(help="officer, school_lead, teacher, district_lead or data_steward")],
    school: Annotated[str | None, typer.Option(help="The school's source id; empty: the one for the district.")] = None,
    office: Annotated[str, typer.Option(help="The office held in it; empty: the role without one.")] = "",
    last_day: Annotated[str | None, typer.Option(help="Its last day (YYYY-MM-DD); empty: it ends at once.")] = None,
) -> None:
    """End a role, or an office held in it."""
    _set_up()
    from firstbell.access.people import NotMade
    from firstbell.access.people import end_role as end

    _ready_database()
    try:
        last = end(email, role, school_id=school, office=office, last=_date(last_day))
    except NotMade as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{email} was or is {office or role} through {last}. What they signed stays signed.")


def main() -> None:
    """The command, with errors as one sentence; a developer sees the trace with FIRSTBELL_TRACE set."""
    try:
        app()
    except Exception as error:
        if os.environ.get("FIRSTBELL_TRACE"):
            raise
        typer.echo(f"{type(error).__name__}: {error}\nNothing was half done. FIRSTBELL_TRACE=1 shows where.", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
