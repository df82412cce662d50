"""The district in memory, a cluster of schools at a time: what the files are written from and what the facts are checked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from firstbell.simulator.behaviour import USUAL, Behaviour, Options, Setting, behave
from firstbell.simulator.calendars import school_year, snow_day
from firstbell.simulator.people import CLUSTER_STUDENTS, Cluster, make_cluster

__all__ = ["Simulated", "how_many_clusters", "settings_on", "simulate"]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A cluster and its two school years: last year's whole, this year's up to a morning."""

    cluster: Cluster
    settings: tuple[Setting, Setting]
    years: tuple[Behaviour, Behaviour]


def settings_on(today: date) -> tuple[Setting, Setting]:
    """Last school year and this one, the latter through `today`, which must be a school day of it."""
    ends_in = today.year + (today >= date(today.year, 8, 1))
    last_year = school_year(ends_in - 1, snow=snow_day(ends_in - 1))
    snow = snow_day(ends_in)
    this_year = school_year(ends_in, snow=snow if snow < today else None)
    days = this_year.school_days
    through = sum(day <= today for day in days)
    if not through or days[through - 1] != today:
        raise ValueError(f"{today} is no school day of this district; choose one with calendars.demo_day")
    return Setting(last_year, len(last_year.school_days)), Setting(this_year, through)


def how_many_clusters(students: int) -> int:
    return max(1, round(students / CLUSTER_STUDENTS))


def simulate(*, students: int = 4000, seed: int = 1, today: date, options: Options = USUAL) -> Iterator[Simulated]:
    """A district of about `students` on roll this year, cluster by cluster. The same seed and options make the same district."""
    settings = settings_on(today)
    clusters = how_many_clusters(students)
    for k in range(clusters):
        rng = np.random.default_rng([seed, k])
        size = students // clusters + (k < students % clusters)
        cluster = make_cluster(k, size, (settings[0].through, settings[1].through), rng)
        yield Simulated(cluster, settings, behave(cluster, settings, rng, options))
