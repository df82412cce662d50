"""CSV as real systems break it: an error that names file, line and column, a row refused by itself, or read all the same. Never a silent loss."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from firstbell.intake.readers.records import IntakeError, Refusal
from firstbell.intake.readers.table import Row, Table

HEAD = b"id,name\n"


def read(content: bytes) -> list[Row | Refusal]:
    return list(Table("t.csv", io.BytesIO(content), ("id", "name")).rows())


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (HEAD + b'1,Ana\n2,"Ben\n3,Caro\n4,Dia\n', 3, "never closed"),
        (HEAD + b'1,"Ana" Reyes\n', 2, "not CSV"),
        (HEAD + b"1,An\0a\n", 2, "NUL"),
        (HEAD + b"1,Ana\n2,Mar\xeda\n", 3, "not UTF-8"),
        (HEAD + b"1," + b"x" * 200_000 + b"\n", 2, "128 KB"),
        (b"", 1, "empty"),
        (b"id,nombre\n1,Ana\n", 1, "missing from the header"),
        (b"id,name,name\n1,Ana,Ana\n", 1, "twice"),
        (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", 1, "columns|longer than 4 MB"),
    ],
    ids=["unclosed quote", "text after a quote", "NUL", "Latin-1", "long field", "empty", "no such column", "header twice", "a million columns"],
)  # fmt: skip
def test_a_broken_file_is_refused_with_its_place(content: bytes, line: int, words: str) -> None:
    with pytest.raises(IntakeError, match=words) as error:
        read(content)
    assert (error.value.file, error.value.line) == ("t.csv", line)


def test_a_latin_1_byte_is_named_with_its_character() -> None:
    with pytest.raises(IntakeError) as error:
        read(HEAD + b"1,Ana\n2,Mar\xeda\n")
    assert error.value.column == "6 (character)"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + HEAD + b"1,Ana\n",
        (HEAD + b"1,Ana\n").decode().encode("utf-16"),
        b"id;name\n1;Ana\n",
        b"id\tname\n1\tAna\n",
        b"id,name\r\n1,Ana\r\n",
        b"id,name\r1,Ana\r",
        b"id,name\n1,Ana",
        b"ID, Name \n1,Ana\n\n\n",
        b"id,name,\n1,Ana,\n",
        b'"id","name"\n"1","Ana"\n',
    ],
    ids=[
        "BOM",
        "UTF-16",
        "semicolons",
        "tabs",
        "CRLF",
        "CR",
        "no last line end",
        "spaces and capitals",
        "trailing comma",
        "all quoted",
    ],
)
def test_what_only_looks_odd_is_read(content: bytes) -> None:
    (row,) = read(content)
    assert isinstance(row, Row)
    assert (row.line, row.cells) == (2, ["1", "Ana"])


def test_a_ragged_row_is_refused_by_itself() -> None:
    first, ragged, last = read(HEAD + b"1,Ana\n2\n3,Caro\n")
    assert isinstance(ragged, Refusal)
    assert (ragged.line, ragged.reason) == (3, "has 1 cells where the header has 2")
    assert isinstance(first, Row)
    assert isinstance(last, Row)


def test_line_numbers_are_physical_lines_also_after_a_quoted_line_break() -> None:
    rows = read(HEAD + b'1,"Ana\nMaria"\n2,Ben\n')
    assert [(row.line, row.cells[0]) for row in rows if isinstance(row, Row)] == [(2, "1"), (4, "2")]


def test_a_misspelt_heading_is_read_as_what_it_means_and_said() -> None:
    table = Table("users.csv", io.BytesIO(b"id,prefferedGivenName\n1,Ana\n"), ("id",), ("preferredGivenName",))
    assert table.columns["preferredGivenName"] == 1
    assert "was read as" in table.notices[0].text


def test_memory_stays_bounded_however_long_the_file() -> None:
    class Endless(io.RawIOBase):
        left = size = 12 * 2**20

        def read(self, size: int = -1) -> bytes:
            self.left -= size
            return (
                (HEAD if self.left > Endless.size - size - 1 else b"")
                + b"12345678,a name of some length\n" * (size // 31)
                if self.left > 0
                else b""
            )

    tracemalloc.start()
    n = sum(1 for _ in Table("t.csv", Endless(), ("id",)).rows())  # type: ignore[arg-type]
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n > 300_000
    assert peak < Endless.size  # kept whole, its rows alone would be many times that
