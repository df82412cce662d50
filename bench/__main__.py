"""`python -m bench`: every benchmark, one after another. Ratios and figures of this machine, now; never an assertion."""

from __future__ import annotations

import argparse
import os
import platform

import pysqlite3

from bench import (
    intake_bench,
    law_bench,
    law_night_bench,
    pages_bench,
    pass_bench,
    range_bench,
    signals_bench,
    spark_bench,
    train_bench,
)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
quick = parser.parse_args().quick
print(
    f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {pysqlite3.sqlite_version}, {platform.platform()}"
)
for bench in (
    signals_bench,
    law_bench,
    pass_bench,
    law_night_bench,
    spark_bench,
    intake_bench,
    pages_bench,
    range_bench,
    train_bench,
):
    load = f"{os.getloadavg()[0]:.1f}"
    print(f"\n{bench.__name__} (load average before it: {load})", flush=True)
    bench.show(bench.run(bench.QUICK if quick else bench.FULL))
