"""An alert whose ground stands is not written anew each night: it is as of its calendar's last look.

What is stored is what was so when its figures were last written: `as_of`, `known_through`, `through`, and `of`. While `expires_on` is empty and
its calendar was looked over since, the alert is as of that look: `of`, where it counts days possible (`KindRule.of_days`), has grown by
the whole school days since, and the alert stands for its kind's life from that day on. A look writes it anew where that would not be so, and the
night its ground ceases, or somebody answers it, all of it is written down (`watch.standing`, `watch.verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.db.models import F, QuerySet

from firstbell.register.rows import Column, columns
from firstbell.watch.kinds import KINDS, Clock, Kind
from firstbell.watch.models import Alert, CalendarPass

__all__ = ["as_they_stand", "last_day", "stands_through", "write_down"]


def as_they_stand(alerts: Iterable[Alert]) -> list[Alert]:
    """These alerts with the days and figures they have now; nothing is written. Anything that shows or answers one asks this first.

    Of a query it asks in that same query; of alerts read before, in one of its own.
    """
    if isinstance(alerts, QuerySet):
        look = {name: F(f"calendar__last_pass__{name}") for name in ("as_of", "known_through", "through")}
        every = list(alerts.annotate(**{f"look_{name}": of for name, of in look.items()}))
        looks = {a.calendar_id: (a.look_as_of, a.look_known_through, a.look_through) for a in every}
    else:
        every = list(alerts)
        found = CalendarPass.objects.filter(pk__in={a.calendar_id for a in every})
        looks = {pk: told for pk, *told in found.values_list("pk", "as_of", "known_through", "through")}
    for alert in every:
        as_of, known, through = looks.get(alert.calendar_id, (None, None, None))
        stands = alert.state == Alert.State.OPEN and alert.expires_on is None
        if stands and known is not None and known >= alert.known_through:
            if KINDS[Kind(alert.kind)].of_days:
                alert.of += through - alert.through
            alert.as_of, alert.known_through, alert.through = as_of, known, through
    return every


def stands_through(alert: Alert) -> date:
    """The day an alert, as it stands, expires."""
    return alert.expires_on or last_day(columns(alert.calendar), Kind(alert.kind), alert.as_of)


def write_down(alerts: Iterable[Alert]) -> None:
    """From now on these say all of themselves."""
    for alert in as_they_stand(alerts):
        alert.expires_on = stands_through(alert)
        alert.save(update_fields=["as_of", "known_through", "through", "of", "expires_on"])


def last_day(column: Column, kind: Kind, as_of: date) -> date:
    """The day through which a kind's alert stands, were its ground not found again after `as_of`."""
    rule, dates = KINDS[kind], column.dates
    if rule.clock is Clock.TODAY or not dates:
        return as_of
    return dates[min(column.through(as_of) + rule.life, len(dates)) - 1]
