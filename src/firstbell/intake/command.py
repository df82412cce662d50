"""`firstbell import`: a delivery from beginning to end in the foreground, and `import_path`, the same for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import typer
from django.utils.translation import gettext as _
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from firstbell.intake.apply import Applied, NotApplied, accept_bounds, apply, look
from firstbell.intake.bounds import DEFAULTS
from firstbell.intake.fields import in_words
from firstbell.intake.mapping import settle_code_set
from firstbell.intake.models import Import
from firstbell.intake.receive import NotReceived, receive

STEPS = {
    "read": _("Reading"),
    "org": _("Schools"),
    "session": _("Terms"),
    "calendar_day": _("Calendars"),
    "student": _("Students"),
    "staff": _("Staff"),
    "contact": _("Contacts"),
    "contact_link": _("Families"),
    "class": _("Classes"),
    "enrolment": _("Enrolments"),
    "roll": _("Rolls taken"),
    "mark": _("Marks"),
    "register": _("Register"),
}
_PIPED = 1000


@dataclass(frozen=True, slots=True)
class Imported:
    """How an import ended. `applied` is None when nothing was applied; `already`: the same delivery was, before."""

    delivery: Import
    applied: Applied | None
    already: bool = False


def import_path(
    path: Path | str,
    source_name: str | None = None,
    *,
    dry_run: bool = False,
    yes: bool = False,
    accept: list[str] | None = None,
    complete_through: date | None = None,
    code_set: str | None = None,
    by: str = "command line",
    ask: Callable[[Import], bool] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Imported:
    """Receive, stage, check and (with `yes`, or when `ask` agrees) apply what lies at `path`.

    `accept` names bounds that may be passed. Raises NotReceived, NotApplied (a bound holds it; a file can't be read).
    """
    delivery = receive(Path(path), source_name, by, complete_through=complete_through)
    if delivery.state == Import.State.APPLIED:
        return Imported(delivery, None, already=True)
    if code_set:
        settle_code_set(delivery.source, code_set, by)
    held = look(delivery, progress=progress)
    if dry_run:
        return Imported(delivery, None)
    names = {bound.name for bound in held}
    if names and names <= set(accept or ()):
        accept_bounds(delivery, sorted(names), _("accepted on the command line"), by)
    elif names:
        raise NotApplied(
            _("Held, nothing was applied. %(why)s To apply all the same: %(how)s")
            % {
                "why": " ".join(b.words for b in held),
                "how": " ".join(f"--accept-bound {name}" for name in sorted(names)),
            }
        )
    if not yes and not (ask and ask(delivery)):
        return Imported(delivery, None)
    return Imported(delivery, apply(delivery, by, progress=progress))


def import_command(
    path: Path,
    *,
    source_name: str | None,
    dry_run: bool,
    yes: bool,
    accept_bounds: list[str],
    complete_through: str | None,
    code_set: str | None = None,
) -> int:
    """The command. Its exit code: 0 applied (or nothing to do), 1 held, refused or not applied, 2 not received."""
    console = Console()
    if not console.is_terminal:  # a pipe has no edge that a file's name must be cut at
        console.width = _PIPED
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = False

    def ask(delivery: Import) -> bool:
        nonlocal shown
        running.stop()
        show(delivery, console)
        shown = True
        return sys.stdin.isatty() and typer.confirm(_("Apply this?"))

    with Progress(*columns, console=console, transient=True) as running:
        task = running.add_task("")

        def tell(step: str, done: int, total: int) -> None:
            running.update(task, description=STEPS.get(step, step), completed=done, total=total or None)

        try:
            through = _day(complete_through)
            if unknown := set(accept_bounds) - set(DEFAULTS):
                raise ValueError(
                    _("There is no bound %(unknown)s. The bounds are: %(known)s. Nothing was done.")
                    % {"unknown": ", ".join(sorted(unknown)), "known": ", ".join(sorted(DEFAULTS))}
                )
            done = import_path(
                path, source_name, dry_run=dry_run, yes=yes, accept=accept_bounds, complete_through=through,
                code_set=code_set, ask=ask, progress=tell,
            )  # fmt: skip
        except NotReceived as error:
            running.stop()
            console.print(in_words(str(error)), style="red", markup=False)
            return 2
        except (NotApplied, ValueError) as error:
            running.stop()
            console.print(in_words(str(error)), style="red", markup=False)
            return 1
    if done.already:
        console.print(
            _("This delivery was applied on %(day)s, and nothing else since. Nothing was done.")
            % {"day": f"{done.delivery.applied_at:%Y-%m-%d %H:%M}"}
        )
        return 0
    if not shown or done.applied:
        show(done.delivery, console)
    if done.applied:
        console.print(
            _("Applied: %(marks)s new marks, %(rows)s register rows written.")
            % {"marks": f"{done.applied.marks:,}", "rows": f"{done.applied.rows:,}"}
        )
        if done.applied.missing:
            console.print(
                _(
                    "%(n)s students of the register are not in this delivery; they were kept, and are listed on its page."
                )
                % {"n": done.applied.missing}
            )
    else:
        console.print(_("Nothing was applied. Delivery %(n)s waits on the Intake page.") % {"n": done.delivery.pk})
        if (
            not dry_run and not sys.stdin.isatty()
        ):  # nobody was there to be asked: whoever runs this by the clock must hear of it
            console.print(_("To apply without being asked: --yes"))
            return 1
    return 0


def _day(given: str | None) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError as error:
        raise ValueError(_("“%(day)s” is not a date (YYYY-MM-DD). Nothing was done.") % {"day": given}) from error


def show(delivery: Import, console: Console) -> None:
    """The tally: every row accounted for."""
    table = Table(title=_("Delivery %(n)s from %(source)s") % {"n": delivery.pk, "source": delivery.source.name})
    for heading in (_("File"), _("Kind")):
        table.add_column(heading)
    for heading in (_("Read"), _("New"), _("Changed"), _("Unchanged"), _("Refused"), _("Waiting"), _("Not used")):
        table.add_column(heading, justify="right")
    for t in delivery.tallies.order_by("file", "kind"):
        counts = (t.read, t.new, t.changed, t.unchanged, t.refused, t.waiting, t.unused)
        table.add_row(t.file, t.kind, *(f"{n:,}" if n else "·" for n in counts))
    console.print(table)
    for notice in delivery.notices.all():
        console.print(f"{notice.file + ': ' if notice.file else ''}{notice.text}", markup=False)
    for bound in delivery.passed_bounds.all():
        console.print(f"{bound.name}: {bound.words}", style="yellow", markup=False)
