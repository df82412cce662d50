"""How fast a delivery comes in: `python -m bench.intake_bench --rows 2000000`.

Writes the export of a district (primary schools of 800, two sessions a day, some sixty rows a student and year), imports it
into SQLite, and sets beside it what the same attendance file costs DuckDB to read and PostgreSQL to COPY into a bare table.
An import does more than either: it checks every cell, resolves every id, keeps what is refused, compares with what is on
record, indexes each event by its fingerprint, and folds the register, all in one transaction.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from bench.memory import peak_bytes

#: a year that is over: a recording in the future is refused
FIRST, LAST = date(2024, 9, 2), date(2025, 6, 12)
STUDENTS_A_SCHOOL, ROWS_A_STUDENT = 800, 60
FULL, QUICK = 2_000_000, 4_000  # attendance rows


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds of each part, and the peak memory of the importing process in bytes."""

    rows: int
    students: int
    stage: float
    look: float
    apply: float
    again: float
    duckdb: float | None
    copy: float | None
    peak: int

    @property
    def rate(self) -> float:
        """Attendance rows a second from the received bytes to the committed register."""
        return self.rows / (self.stage + self.look + self.apply)


def write_district(folder: Path, rows: int, seed: int = 1) -> int:
    """The files of a district with about so many attendance rows. How many students it has."""
    chance = random.Random(seed)
    schools = max(1, rows // (STUDENTS_A_SCHOOL * ROWS_A_STUDENT))
    each = min(150, max(1, rows // (schools * STUDENTS_A_SCHOOL)))
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    school_days = [d for d in days if d.weekday() < 5][:180]
    head = "sourcedId,status,dateLastModified,"

    def lines(name: str, header: str, body: list[str]) -> None:
        (folder / name).write_text("\n".join([header, *body, ""]), encoding="utf-8")

    lines(
        "orgs.csv", head + "name,type,identifier,parentSourcedId,metadata.timeZone",
        ["d1,,,Larch,district,,,America/Chicago", *(f"sch{i},,,School {i},school,{i},d1," for i in range(schools))],
    )  # fmt: skip
    lines(
        "academicSessions.csv", head + "title,type,startDate,endDate,parentSourcedId,schoolYear",
        [f"y25,,,2024-25,schoolYear,{FIRST},{LAST},,{LAST.year}"],
    )  # fmt: skip
    words = ("Instructional day", "Non-instructional day")
    lines(
        "calendar.csv", "schoolSourcedId,date,type,sessions",
        [f"sch{i},{d},{words[d.weekday() > 4]},2" for i in range(schools) for d in days],
    )  # fmt: skip
    lines(
        "classes.csv", head + "title,grades,classType,schoolSourcedId,termSourcedIds,periods",
        [f"c{i}-{c},,,C{c},03,homeroom,sch{i},y25," for i in range(schools) for c in range(32)],
    )  # fmt: skip
    people = [(f"st{i}-{k}", i, k) for i in range(schools) for k in range(STUDENTS_A_SCHOOL)]
    lines(
        "users.csv", head + "enabledUser,orgSourcedIds,role,givenName,familyName,identifier,grades",
        [f"{s},,,true,sch{i},student,Ana{k},Reyes,{i:04d}{k:05d},03" for s, i, k in people],
    )  # fmt: skip
    lines(
        "enrollments.csv", head + "classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
        [f"e{s},,,c{i}-{k % 32},sch{i},{s},student,false,," for s, i, k in people],
    )  # fmt: skip
    (folder / "source.toml").write_text(f'sends = "exceptions"\ncomplete_through = {LAST}\n')
    with (folder / "attendance.csv").open("w", encoding="utf-8") as out:
        out.write("studentSourcedId,schoolSourcedId,date,session,code,minutesMissed,reason,recordedAt,recordedBy\n")
        for s, i, k in people:
            for d in chance.sample(school_days, each):
                second = chance.randrange(3600)
                out.write(
                    f"{s},sch{i},{d},{chance.randrange(2) + 1},{chance.choice('NEUT')},,,"
                    f"{d}T09:{second // 60:02d}:{second % 60:02d}-05:00,teacher{i}-{k % 32}\n"
                )
    return len(people)


def _import(folder: Path) -> dict[str, float]:
    """In a process and a home of its own: the seconds of each part."""
    home = tempfile.mkdtemp(prefix="firstbell-bench-", dir=folder.parent)
    environment = {**os.environ, "FIRSTBELL_HOME": home}
    environment.pop("DATABASE_URL", None)
    ran = subprocess.run(
        [sys.executable, "-m", "bench.intake_bench", "--import", str(folder)],
        env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    shutil.rmtree(home)
    return {name: float(value) for name, value in (line.split() for line in ran.stdout.splitlines())}


def _import_here(folder: Path) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "firstbell.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db.models import Q

    call_command("migrate", verbosity=0)
    from firstbell.intake.apply import accept_bounds, apply, look
    from firstbell.intake.receive import receive
    from firstbell.intake.staging import stage_of

    def bring() -> tuple[float, float, float]:
        delivery = receive(folder, "bench", "bench")
        began = time.perf_counter()
        stage_of(delivery).close()
        staged = time.perf_counter()
        held = look(delivery)
        accept_bounds(delivery, [b.name for b in held], "a benchmark", "bench")
        looked = time.perf_counter()
        apply(delivery, "bench")
        kept_back = delivery.tallies.filter(Q(refused__gt=0) | Q(waiting__gt=0))
        if kept_back:
            raise SystemExit("Rows of the benchmark's district were refused or wait: what it times is not an import.")
        return staged - began, looked - staged, time.perf_counter() - looked

    stage, looked, applied = bring()
    print(f"stage {stage}\nlook {looked}\napply {applied}")
    print(f"peak {peak_bytes()}")
    (folder / "again.txt").write_text("the same rows once more")
    print(f"again {sum(bring())}")
    (folder / "again.txt").unlink()


def _duckdb(file: Path) -> float | None:
    try:
        import duckdb
    except ImportError:
        return None
    began = time.perf_counter()
    duckdb.connect().execute("CREATE TABLE a AS SELECT * FROM read_csv(?, header = true)", [str(file)])
    return time.perf_counter() - began


def _copy(file: Path) -> float | None:
    """COPY into a bare table of text columns, on a PostgreSQL of its own."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.postgres", sys.executable, "-m", "bench.intake_bench", "--copy", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return float(ran.stdout.split()[-1]) if ran.returncode == 0 and ran.stdout.strip() else None


def _copy_here(file: Path) -> None:
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        columns = file.open(encoding="utf-8").readline().strip().split(",")
        cursor.execute("CREATE TABLE a (" + ", ".join(f'"{c}" text' for c in columns) + ")")  # type: ignore[arg-type]
        began = time.perf_counter()
        with cursor.copy("COPY a FROM STDIN (FORMAT csv, HEADER)") as copy, file.open("rb") as stream:
            while piece := stream.read(1 << 20):
                copy.write(piece)
        connection.commit()
        print(time.perf_counter() - began)


def run(rows: int = FULL) -> Result:
    """Write the district, import it twice, and measure the neighbours on the same file."""
    with tempfile.TemporaryDirectory(prefix="firstbell-bench-") as place:
        folder = Path(place) / "export"
        folder.mkdir()
        students = write_district(folder, rows)
        file = folder / "attendance.csv"
        with file.open("rb") as stream:
            written = sum(piece.count(b"\n") for piece in iter(lambda: stream.read(1 << 20), b"")) - 1
        took = _import(folder)
        return Result(
            written, students, took["stage"], took["look"], took["apply"], took["again"], _duckdb(file), _copy(file),
            int(took["peak"]),
        )  # fmt: skip


def show(result: Result) -> None:
    def rate(seconds: float | None) -> str:
        return f"{seconds:8.1f} s  {result.rows / seconds:12,.0f} rows/s" if seconds else "  not measured"

    whole = result.stage + result.look + result.apply
    print(f"{result.rows:,} attendance rows of {result.students:,} students")
    print(f"  import, read and staged     {rate(result.stage)}")
    print(f"  import, looked at           {rate(result.look)}")
    print(f"  import, applied             {rate(result.apply)}")
    print(f"  import, end to end          {rate(whole)}   peak {result.peak / 2**20:,.0f} MB")
    print(f"  the same rows once more     {rate(result.again)}")
    print(f"  DuckDB reads the file       {rate(result.duckdb)}")
    print(f"  PostgreSQL COPY, bare table {rate(result.copy)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--import", dest="folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--copy", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder:
        _import_here(given.folder)
    elif given.copy:
        _copy_here(given.copy)
    else:
        show(run(QUICK if given.quick else given.rows))
