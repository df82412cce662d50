"""`python -m bench`: every benchmark, one after another. Ratios and figures of this machine, now; never an assertion."""

from __future__ import annotations

import argparse
import os
import platform

import pysqlite3

from bench import intake_bench, pages_bench, pass_bench, signals_bench

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
quick = parser.parse_args().quick
students = 20_000 if quick else 1_000_000
print(
    f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {pysqlite3.sqlite_version}, {platform.platform()}"
)
signals_bench.show(signals_bench.run(students), students)
pass_bench.show(pass_bench.run(students))
intake_bench.show(intake_bench.run(50_000 if quick else 1_000_000))
pages_bench.show(pages_bench.run(7_000 if quick else 100_000), 7_000 if quick else 100_000)
