"""What runs on a Spark executor: schools of the lake in, their ground out. It needs Firstbell's code, and no database and no settings.

What is wrong with a school comes back as a sentence, not as a failed task: Spark would try it four times over and bury it in its own words.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import firstbell

if TYPE_CHECKING:
    from firstbell.forecast.lines import Line

__all__ = ["ANSWERS", "Told", "judged", "running"]

#: students: the register's rows in order; ground: what was found, row numbers into them, as Arrow's stream
ANSWERS = pa.schema(
    [
        ("school", pa.string()), ("students", pa.list_(pa.string())), ("ground", pa.binary()), ("refused", pa.string()),
        ("about", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What goes along with the job. code: of the version that asks; model: its JSON; asked: the lines ahead a forecast speaks of, each with the
    rules that ask, how far ahead, and the backtest's offer."""

    code: str
    model: str | None
    asked: tuple[tuple[tuple[str, ...], Line, int, tuple[tuple[float, float], ...] | None], ...]


@cache
def running() -> str:
    """The code that judges, here: the forecast's, and what raises an alert."""
    from firstbell.forecast.model import code_version

    digest = hashlib.sha256()
    for name in ("ground.py", "kinds.py", "lake.py"):
        digest.update((Path(__file__).parent / name).read_bytes())
    return f"{code_version()}.{digest.hexdigest()[:6]}"


def judged(told: Told, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A row of `ANSWERS` for every row of the plan: school, its calendar, and `registers`, a list of its students' rows."""
    for batch in batches:
        for row in range(batch.num_rows):
            with _alone_the_first_time():
                yield pa.RecordBatch.from_pylist([_judged(told, batch, row)], ANSWERS)


def _judged(told: Told, batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    from firstbell.watch.ground import ground
    from firstbell.watch.lake import BadLake, as_bytes, read_school, table_of

    def of(name: str) -> Any:
        return batch.column(name)[row].as_py()

    answer: dict[str, Any] = dict.fromkeys(ANSWERS.names)
    answer["school"] = of("school")
    try:
        if told.code != running():
            raise BadLake(
                f"The machine that should judge school {of('school')} runs another version of Firstbell ({running()}) than this "
                f"one ({told.code}). Install the same on all."
            )
        if any(of(name) is None for name in ("sessions", "dates", "through", "day")):
            raise BadLake(f"School {of('school')} has registers, and no calendar in calendars.parquet.")
        registers = batch.column("registers")[row].values
        register = read_school(of("school"), of("sessions"), of("dates"), of("through"), of("day"), registers)
        answer["ground"] = as_bytes(table_of(ground(register.registers, _askers(told))))
    except BadLake as wrong:
        return answer | {"refused": str(wrong), "about": wrong.student}
    answer["students"] = register.students
    return answer


@lru_cache(maxsize=1)
def _askers(told: Told) -> Any:
    from firstbell.forecast.model import Model
    from firstbell.watch.ground import Asker

    model = None if told.model is None else Model.from_json(told.model)
    return tuple(Asker.of(rules, line, horizon, model, steps) for rules, line, horizon, steps in told.asked)


_begun = False


@contextmanager
def _alone_the_first_time() -> Iterator[None]:
    """A process compiles the kernel with its first school, and one process of a machine at a time does.

    What is compiled is kept for the others, and two writers beside each other could keep one's code under the other's name. Where the
    package's folder can't be written to, it is kept in a temporary folder of this user's.
    """
    global _begun
    if _begun:
        yield
        return
    import fcntl

    kept = Path(tempfile.gettempdir()) / f"firstbell-compiled-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    if not os.access(Path(firstbell.__file__).parent / "signals", os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(kept))
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    _begun = True
