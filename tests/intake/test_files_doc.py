"""docs/files.md is what a data steward goes by: its examples come in whole, and nothing a reader looks for is missing from it."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from firstbell.intake import bounds
from firstbell.intake.command import Imported, import_path
from firstbell.intake.models import KeptRow
from firstbell.intake.readers import daytypes, edfi, oneroster, spreadsheet
from firstbell.intake.readers.codes import _FIELDS, BUILT_IN, load_code_map
from firstbell.intake.readers.settings import SETTINGS
from firstbell.register.models import Calendar, RegisterRow
from firstbell.register.rows import grid_as_known

WHY = "a test looks at everything"
DOC = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _a_home(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path / "home"


def bring(folder: Path, heading: str, *names: str) -> Imported:
    """The files of the example under a heading, as the document has them."""
    folder.mkdir()
    example = DOC[DOC.index(heading) :]
    for name in names:
        found = re.search(rf"`{re.escape(name)}`\n\n```\w+\n(.*?)```", example, re.DOTALL)
        assert found, name
        (folder / name).write_text(found[1], encoding="utf-8")
    return import_path(folder, f"of-{folder.name}", yes=True)


def squares(student: str) -> str:
    return RegisterRow.objects.system(WHY).get(student__source_id=student).codes


@pytest.mark.django_db
def test_the_smallest_examples_come_in_whole(tmp_path: Path) -> None:
    files = ("orgs.csv", "users.csv", "enrollments.csv", "calendar.csv", "attendance.csv", "source.toml")
    bring(tmp_path / "oneroster", "## Smallest example", *files)
    assert squares("s1") == "PEP"
    then = grid_as_known(Calendar.objects.get(), date(2025, 9, 4)).grid
    assert then.codes.tobytes().decode() == "PNP"
    bring(tmp_path / "sheet", "Smallest example, after", "absences.csv")
    assert squares("s1") == "PEU"
    bring(
        tmp_path / "edfi", "Smallest example: `org", "organization.xml", "calendar.xml", "student.xml", "attendance.xml"
    )
    assert squares("9").startswith("PPU ")
    assert not KeptRow.objects.exists()


def cells(section: str) -> set[str]:
    """The words of the first cells of a section's tables."""
    text = DOC[DOC.index(f"\n### {section}") + 1 :].split("\n#", 1)[0]
    first = (line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    return set(chain.from_iterable(re.findall(r"[\w.]+", cell.replace("`", "").replace("*", " ")) for cell in first))


@pytest.mark.parametrize("file", oneroster.COLUMNS)
def test_every_column_of_a_oneroster_file_is_told_and_the_required_ones_are_bold(file: str) -> None:
    required, optional = oneroster.COLUMNS[file]
    assert not {*required, *optional} - cells(f"{file}.csv")
    section = DOC[DOC.index(f"\n### {file}.csv") + 1 :].split("\n#", 1)[0]
    assert {c for c in (*required, *optional) if f"**{c}**" in section} == set(required)


def test_a_column_named_to_a_sender_is_one_the_reader_looks_for() -> None:
    looked_for = set(chain.from_iterable(chain.from_iterable(oneroster.COLUMNS.values())))
    assert set(oneroster._HEADINGS.values()) <= looked_for


def test_every_heading_of_a_sheet_is_told() -> None:
    sheets = DOC[DOC.index("## Plain sheets") :]
    table = sheets[sheets.index("| column | headings") :].split("\n\n")[0]
    for field, headings in spreadsheet.FIELDS.items():
        (row,) = (line for line in table.splitlines() if re.match(rf"\| (\*\*|`){field}(\*\*|`) ", line))
        assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(headings)
    assert all(f"`{heading}`" in sheets for heading in spreadsheet._LAST_DAY)


#: capitalised words of the reader's that are no part of an interchange by themselves
NO_PARTS = {
    "AddressLine", "Association", "ClassPeriodIdentity", "EdFiReader", "Identity", "Interchange", "Reference", "UniqueId",
}  # fmt: skip


def test_every_part_of_an_interchange_that_is_read_is_told() -> None:
    text = DOC[DOC.index("## Ed-Fi") : DOC.index("## Plain sheets")]
    constants = (node.value for node in ast.walk(ast.parse(inspect.getsource(edfi))) if isinstance(node, ast.Constant))
    paths = [
        name for name in constants if isinstance(name, str) and re.fullmatch(r"(?:/?(?:\{\*\})?[A-Z][a-z]\w+)+", name)
    ]
    parts = {part for path in paths for part in re.findall(r"[A-Z]\w+", path)} - NO_PARTS
    assert not {part for part in parts if not re.search(rf"\b{part}\b", text)}


def test_settings_codes_kinds_of_day_and_bounds_are_told() -> None:
    words = [*SETTINGS, *chain.from_iterable(daytypes._WORDS.values()), *bounds.DEFAULTS]
    assert not [word for word in words if f"`{word}`" not in DOC]
    assert not [word for word in chain.from_iterable(SETTINGS.values()) if f'`"{word}"`' not in DOC]
    assert SETTINGS["sends"] == tuple(Calendar.Sends.values)
    for name in BUILT_IN:
        (row,) = (line for line in DOC.splitlines() if line.startswith(f"| `{name}` |"))
        assert not [code for code in load_code_map(name).marks if f"`{code}`" not in row]
    for key, values in _FIELDS.items():
        (row,) = (line for line in DOC.splitlines() if line.startswith(f"| `{key}` |"))
        assert re.findall(r"`([\w/]+)`", row.split("|")[2]) == [value.value for value in values]
    assert not [file for file in oneroster.FILES if not re.search(rf"\b{file}\b", DOC)]
