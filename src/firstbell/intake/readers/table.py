"""Strict CSV over a stream of bytes: every row with its own line number, and an error for whatever is not CSV.

Python's csv module swallows rows after an unclosed quote and counts no physical lines for you; here an unclosed quote names the line it
opened on, a ragged row is refused by itself, and nothing after an error is silently lost.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from firstbell.intake.readers.records import IntakeError, Notice, Refusal
from firstbell.said import said

__all__ = ["Row", "Table", "csv_line"]

MAX_FIELD = 128 * 1024
MAX_COLUMNS = 1_000
MAX_ROW = 4 * 2**20
csv.field_size_limit(MAX_FIELD)
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    cells: list[str]


def csv_line(cells: Sequence[str]) -> str:
    """A row as one CSV line, to keep or to send back."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


class Table:
    """A CSV file with a header. `rows()` yields rows as wide as the header, and refusals for those that aren't.

    file        its name, for messages
    required    columns without which the file can't be read
    known       all columns looked for: a header that is a close misspelling of one is read as it, with a notice
    """

    def __init__(self, file: str, stream: IO[bytes], required: Sequence[str] = (), known: Sequence[str] = ()) -> None:
        self.file = file
        self.notices: list[Notice] = []
        self._lines = _Lines(file, stream, self.notices)
        header = self._lines.first()
        if header is None:
            raise IntakeError(file, 1, None, said("is empty: not even a header. Nothing was read."))
        self.delimiter = _delimiter(header)
        stated = header.strip().lower()
        if stated.startswith("sep=") and len(stated) == 5:  # Excel's own first line, which is no header
            self.delimiter = stated[-1]
            next(self._lines)
            if self._lines.first() is None:
                raise IntakeError(file, 1, None, said("is empty: not even a header. Nothing was read."))
        self._reader = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        cells = next(self._raw())
        if len(cells.cells) > MAX_COLUMNS:
            raise IntakeError(
                file,
                1,
                None,
                said(
                    "has %(n)s columns; %(max_columns)s is the most. Nothing was read.",
                    n=f"{len(cells.cells):,}",
                    max_columns=f"{MAX_COLUMNS:,}",
                ),
            )
        self.header = [c.strip() for c in cells.cells]
        while self.header and not self.header[-1]:
            self.header.pop()
        self.width = len(self.header)
        self.columns = self._match(required, known)

    def _match(self, required: Sequence[str], known: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        exact = {name: i for i, name in reversed(list(enumerate(self.header)))}
        folded = {_fold(name): i for i, name in reversed(list(enumerate(self.header)))}
        doubles = sorted({name for name in self.header if name and self.header.count(name) > 1})
        if doubles:
            raise IntakeError(
                self.file,
                1,
                doubles[0],
                said("stands twice in the header; which one counts can't be known. Nothing was read."),
            )
        wanted = [*dict.fromkeys([*required, *known])]
        for name in wanted:
            if name in exact:
                found[name] = exact[name]
            elif _fold(name) in folded:
                found[name] = folded[_fold(name)]
        taken = set(found.values())
        for name in wanted:
            if name in found:
                continue
            free = {_fold(h): i for i, h in enumerate(self.header) if i not in taken and h}
            close = difflib.get_close_matches(_fold(name), free, n=1, cutoff=0.88)
            if close:
                found[name] = free[close[0]]
                taken.add(found[name])
                self.notices.append(
                    Notice(
                        self.file,
                        said(
                            "the column %(value)s was read as %(name)s",
                            value=repr(self.header[found[name]]),
                            name=repr(name),
                        ),
                    )
                )
        for name in required:
            if name not in found:
                raise IntakeError(
                    self.file, 1, name,
                    said("is missing from the header, which has: %(value)s. Nothing was read.", value=', '.join(self.header[:20]) or 'nothing'),
                )  # fmt: skip
        return found

    def rows(self) -> Iterator[Row | Refusal]:
        """Every row after the header. Blank lines are no rows."""
        width = self.width
        for row in self._raw():
            cells = row.cells
            if len(cells) != width:
                if not cells or (len(cells) == 1 and not cells[0].strip()):
                    continue
                if len(cells) > width and not any(c.strip() for c in cells[width:]):
                    cells = cells[:width]
                else:
                    yield Refusal(
                        self.file,
                        row.line,
                        "",
                        "",
                        said("has %(value)s cells where the header has %(width)s", value=len(cells), width=width),
                        csv_line(cells),
                    )
                    continue
            yield Row(row.line, cells)

    def _raw(self) -> Iterator[Row]:
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    raise IntakeError(
                        self.file,
                        line,
                        None,
                        said("a quote that opens here is never closed. Nothing was applied; close it and send again."),
                    ) from error
                if "field larger than field limit" in str(error):
                    raise IntakeError(
                        self.file, line, None,
                        said("a cell that begins here is longer than %(value)s KB: most likely a quote that is never closed. Nothing was applied.", value=MAX_FIELD // 1024),
                    ) from error  # fmt: skip
                raise IntakeError(
                    self.file,
                    self._lines.number,
                    None,
                    said("this row is not CSV (%(error)s). Nothing was applied.", error=str(error)),
                ) from error
            yield Row(line, cells)


def _fold(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum() or c == ".")


def _delimiter(header: str) -> str:
    counts = {d: header.count(d) for d in (",", ";", "\t", "|")}
    best = max(counts, key=lambda d: counts[d])
    return best if counts[best] else ","


class _Lines:
    """Physical lines of a byte stream as text, counted, in bounded memory; bytes that aren't text are an error with their place."""

    def __init__(self, file: str, stream: IO[bytes], notices: list[Notice]) -> None:
        self.file, self._stream = file, stream
        self.number = 0
        self._first: str | None = None
        head = stream.read(_CHUNK)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
            notices.append(Notice(file, said("is written in UTF-16, and was read so")))
        elif head.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        else:
            encoding = "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._lines = self._split(head)

    def first(self) -> str | None:
        """The header line, without taking it from what follows."""
        self._first = next(self._lines, None)
        return self._first

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self._first is not None:
            line, self._first = self._first, None
        else:
            line = next(self._lines)
        self.number += 1
        return line

    def _decode(self, chunk: bytes, final: bool) -> str:
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            bad = error.object[error.start : error.start + 1]
            line = self._complete + before.count(b"\n") + 1
            at = len(before) - (before.rfind(b"\n") + 1) + 1
            raise IntakeError(
                self.file, line, f"{at} (character)",
                said("the byte 0x%(value)s is not UTF-8. The file may be Latin-1 or Windows-1252: save it as UTF-8 and send it again. Nothing was applied.", value=bad.hex()),
            ) from error  # fmt: skip
        if "\0" in text:
            line = self._complete + text[: text.index("\0")].count("\n") + 1
            raise IntakeError(
                self.file,
                line,
                None,
                said("holds a NUL character, which no text has: the file is damaged. Nothing was applied."),
            )
        self._complete += text.count("\n")
        return text

    def _split(self, head: bytes) -> Iterator[str]:
        self._complete = 0
        left = ""
        chunk = head
        while True:
            text = left + self._decode(chunk, not chunk)
            lines = text.splitlines(keepends=True) if "\x0b" not in text else text.split("\n")
            if any(c in text for c in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"):
                # Only CR and LF end a line of CSV; str.splitlines knows more.
                lines = [line + "\n" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
                lines[-1] = lines[-1][:-1]
                lines = [line for line in lines if line]
            left = ""
            if chunk and lines and not lines[-1].endswith("\n"):
                left = lines.pop()
                if len(left) > MAX_ROW:
                    raise IntakeError(
                        self.file,
                        self.number + 1,
                        None,
                        said("a line is longer than %(value)s MB. Nothing was read.", value=MAX_ROW // 2**20),
                    )
            yield from lines
            if not chunk:
                return
            chunk = self._stream.read(_CHUNK)
