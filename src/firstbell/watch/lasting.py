"""An alert whose ground stands is not written anew each night: it is as of its calendar's last look.

What is stored is what was so when its figures were last written: `as_of`, `known_through`, `through`, and `of`. While `expires_on` is empty and
its calendar was looked over since, the alert is as of that look: `of`, where it counts days possible (`KindRule.of_days`), has grown by
the whole school days since, and the alert stands for its kind's life from that day on. A look writes it anew where that would not be so, and the
night its ground ceases, or somebody answers it, all of it is written down (`watch.standing`, `watch.verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from firstbell.register.rows import Column, columns
from firstbell.watch.kinds import KINDS, Clock, Kind
from firstbell.watch.models import Alert, CalendarPass

__all__ = ["as_they_stand", "last_day", "stands_through", "write_down"]


def as_they_stand(alerts: Iterable[Alert]) -> list[Alert]:
    """These alerts with the days and figures they have now; nothing is written. Anything that shows or answers one asks this first."""
    every = list(alerts)
    lasting = [a for a in every if a.state == Alert.State.OPEN and a.expires_on is None]
    looks = CalendarPass.objects.exclude(as_of=None).in_bulk({a.calendar_id for a in lasting}) if lasting else {}
    for alert in lasting:
        look = looks.get(alert.calendar_id)
        if look is not None and look.known_through > alert.known_through:
            if KINDS[Kind(alert.kind)].of_days:
                alert.of += look.through - alert.through
            alert.as_of, alert.known_through, alert.through = look.as_of, look.known_through, look.through
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
