"""Every benchmark runs at its small size and prints its figures. No figure is judged here: that is `make bench`."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

PRINTS = {
    "signals_bench": ("sum of the same bytes", "kernel, every signal", "DuckDB", "Polars", "pandas", "peak memory"),
    "law_bench": ("seconds a million", "one student, ms", "us-tx", "gb-eng", "peak memory"),
    "law_night_bench": (
        "the first night",
        "an ordinary night",
        "students a second",
        "the pass beside it",
        "peak memory",
    ),
    "pass_bench": (
        "summing the bytes",
        "reading the registers",
        "the first night",
        "an ordinary night",
        "alerts opened",
        "nothing changed",
        "one student, live",
        "peak memory",
    ),
    "spark_bench": ("one process", "Spark, whole", "grid to Parquet", "judging", "alerts stored", "to the last letter"),
    "intake_bench": ("end to end", "rows/s", "once more", "DuckDB reads the file", "PostgreSQL COPY"),
    "range_bench": ("average precision", "no breaks", "range against the count so far", "3 of the last 5 days"),
    "oracle": ("forecast", "reader", "state and spell", "x beta-binomial, day 90", "reach the line"),
    "train_bench": ("firstbell train", "firstbell backtest", "s CPU", "peak memory"),
    "pages_bench": ("SQLite", "PostgreSQL", "Today p95", "Student p95", "queries", "one mark to a fresh list p99"),
}
SLOW = {
    "spark_bench": [pytest.mark.spark, pytest.mark.slow],
    "law_night_bench": [pytest.mark.slow],
    "train_bench": [pytest.mark.slow],
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=SLOW.get(n, [])) for n in PRINTS])
def test_a_benchmark_runs_small_and_prints_its_figures(name: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")}
    ran = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--quick"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    for words in PRINTS[name]:
        assert words in ran.stdout, f"{name} no longer prints “{words}”:\n{ran.stdout}"
    assert "not measured" not in ran.stdout
    assert len(re.findall(r"\d", ran.stdout)) > 15
