"""The night's look at everybody under the law, after the marks of the evening have come; and a draft of an apology for each letter they undid."""

from __future__ import annotations

from datetime import timedelta

from firstbell.casework.firings import look_over
from firstbell.casework.letters.deeds import apologise_for_all
from firstbell.jobs.queue import job_kind
from firstbell.watch import passes


def tonight() -> str | None:
    """One a date, as the pass over signals and forecasts."""
    night = passes.tonight()
    return night and night.replace("nightly:", "law:")


@job_kind("law", lease=timedelta(minutes=30), due=tonight)
def law(_argument: str) -> None:
    look_over()
    apologise_for_all()
