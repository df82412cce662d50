"""The nightly pass on a Spark cluster of two workers beside the one-process pass: `python -m bench.spark_bench --students 1000000`.

The register of bench.pass_bench, the same machine, one core a worker. The one-process pass opens the alerts; then they're forgotten, the grid
is written as Parquet, and Spark's pass opens them again. A machine gains nothing from a cluster on itself: the figures say what Spark
costs, and that the alerts are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import pass_bench
from bench.district import environment as environment_of
from bench.district import set_up

FULL, QUICK = pass_bench.FULL, pass_bench.QUICK


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds. start: until Spark's job began; judge: until all was judged; write: alerts stored."""

    students: int
    opened: int
    one: float
    export: float
    start: float
    judge: float
    write: float
    same: bool


def _digest() -> str:
    from firstbell.watch.models import Alert

    fields = [f.attname for f in Alert._meta.fields if f.attname not in ("id", "opened_at", "known_through")]
    made = hashlib.sha256()
    found = Alert.objects.system("a benchmark compares alerts").order_by("school", "student", "kind", "rule")
    for alert in found.values_list(*fields).iterator(chunk_size=5000):
        made.update(repr(alert).encode())
    return made.hexdigest()


def measure(home: Path) -> None:
    set_up()
    from firstbell import clock
    from firstbell.register import rows
    from firstbell.register.models import Calendar
    from firstbell.watch.export import export_grid
    from firstbell.watch.models import Alert
    from firstbell.watch.passes import evaluate, run_pass
    from firstbell.watch.spark import run_pass_on_spark
    from tests.spark import BRIEF, a_cluster

    calendar = Calendar.objects.select_related("school", "school_year").filter(school_year=1).order_by("pk")[0]
    last = clock.moment(clock.end_of_day(rows.columns(calendar).dates[-1], calendar.school.zone))
    clock.now = lambda: last
    evaluate(calendar)  # compiled before it is timed
    Alert.objects.system("a benchmark").all()._raw_delete("default")
    began = time.perf_counter()
    run_pass(everything=True)
    one = time.perf_counter() - began
    expected = _digest()
    Alert.objects.system("a benchmark").all()._raw_delete("default")
    began = time.perf_counter()
    export_grid(home / "grid")
    export = time.perf_counter() - began
    first: dict[str, float] = {}
    # a short run ends before Java's second compiler has paid for itself
    java = BRIEF if Calendar.objects.count() < 100 else "-XX:+UseSerialGC"
    os.environ["JDK_JAVA_OPTIONS"] = java
    with a_cluster(workers=2, memory="2g", java=java) as cluster:
        began = time.perf_counter()
        done = run_pass_on_spark(
            cluster.master, str(home / "grid"), progress=lambda words, _n, _of: first.setdefault(words, time.perf_counter())
        )  # fmt: skip
        ended = time.perf_counter()
    judging, writing = first.get("Judging on Spark", began), first["Writing alerts"]
    print(
        done.students, done.opened, one, export, judging - began, writing - judging, ended - writing,
        int(_digest() == expected),
    )  # fmt: skip


def run(students: int = FULL) -> Result | None:
    if importlib.util.find_spec("pyspark") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        environment = environment_of(Path(place))
        subprocess.run(
            [sys.executable, "-m", "bench.pass_bench", "--build", str(students)], env=environment, check=True
        )
        ran = subprocess.run(
            [sys.executable, "-m", "bench.spark_bench", "--measure", place], env=environment, check=True,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        n, opened, *seconds, same = ran.stdout.splitlines()[-1].split()
        return Result(int(n), int(opened), *map(float, seconds), same=same == "1")


def show(result: Result | None) -> None:
    if result is None:
        print("The pass on Spark needs PySpark, which is not installed here: make spark")
        return
    r = result
    spark = r.export + r.start + r.judge + r.write
    print(f"Nightly pass on Spark, {r.students:,} students x 180 days, 2 workers of one core on this machine")
    print(f"  one process       {r.one:8.2f} s   ({r.opened:,} alerts opened)")
    print(f"  Spark, whole      {spark:8.2f} s   = {spark / r.one:.1f} x one process")
    print(f"    grid to Parquet {r.export:8.2f} s")
    print(f"    Spark starts    {r.start:8.2f} s")
    print(f"    judging         {r.judge:8.2f} s")
    print(f"    alerts stored   {r.write:8.2f} s")
    print(f"  the same alerts   {'yes, to the last letter' if r.same else 'NO'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=FULL)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", type=Path)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    else:
        show(run(QUICK if options.quick else options.students))
