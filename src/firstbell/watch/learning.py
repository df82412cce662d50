"""When the forecast learns: after a school year has closed, after an upgrade of its code, and judged anew every four weeks of a year."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from firstbell import clock
from firstbell.forecast.model import BadModel, code_version
from firstbell.jobs.queue import job_kind
from firstbell.register.models import District, SchoolYear
from firstbell.watch import backtests, forecasting
from firstbell.watch.forecasting import NoYear, Progress
from firstbell.watch.passes import NIGHT

__all__ = ["learn_and_judge", "stale"]

#: a running year's verdict is looked at again so often
JUDGED_EVERY = timedelta(days=28)


def learn_and_judge(progress: Progress | None = None) -> None:
    """Judge on the latest year and learn of the closed ones, whichever is out of date."""
    if _can_judge() and _verdict_is_stale():
        try:
            report, model = backtests.backtest(progress)
        except NoYear:  # a year has begun, but none of its days has settled yet
            pass
        else:
            backtests.keep(report)
            if _model_is_stale() and list(model.years) == _closed():
                # what was judged is what is used
                forecasting.shelf().keep(replace(model, metrics=backtests.in_short(report)))
    if _model_is_stale():
        forecasting.shelf().keep(forecasting.train(clock.now().date(), progress))


def stale() -> bool:
    return _model_is_stale() or (_can_judge() and _verdict_is_stale())


def _closed() -> list[int]:
    return [y.ends_in for y in forecasting.closed_years(clock.now().date())][-2:]


def _model_is_stale() -> bool:
    years = _closed()
    if not years:
        return False
    try:
        model = forecasting.shelf().load()
    except BadModel:
        return True
    return model is None or list(model.years) != years or model.code != code_version()


def _can_judge() -> bool:
    return SchoolYear.objects.filter(starts__lte=clock.now().date()).count() > 1


def _verdict_is_stale() -> bool:
    report = backtests.kept()
    if report is None or not backtests.is_current(report):
        return True
    return clock.now() - datetime.fromisoformat(report["made_at"]) > JUDGED_EVERY


def tonight() -> str | None:
    """At most one a night, before the nightly pass reads what it left."""
    zone = District.objects.values_list("time_zone", flat=True).first()
    if zone is None:
        return None
    local = clock.now().astimezone(ZoneInfo(zone))
    begins = (datetime.combine(local.date(), NIGHT) - timedelta(hours=2)).time()
    return f"learn:{local.date()}" if begins <= local.time() < NIGHT and stale() else None


@job_kind("learn", lease=timedelta(minutes=10), due=tonight)
def learn(_argument: str) -> None:
    learn_and_judge()
