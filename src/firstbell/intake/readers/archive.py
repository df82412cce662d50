"""A delivery as named streams: a folder, a zip or one file, with limits that no honest export meets.

Nothing is ever written to disk under a name of the sender's choosing.
"""

from __future__ import annotations

import hashlib
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from firstbell.intake.readers.records import IntakeError
from firstbell.said import said

__all__ = ["Delivery", "open_delivery"]

MAX_ENTRIES = 2_000
MAX_MEMBER = 16 * 2**30
MAX_TOTAL = 32 * 2**30
#: Deflate reaches about 1,030:1 on zeros; real CSV and XML stay under 60:1.
MAX_RATIO = 200
_RATIO_FROM = 10 * 2**20  # small members may be as empty as they like
_END_OF_DIRECTORY = 22
#: zips that are one document: a spreadsheet is no archive of files
_BOOKS = (".xlsx", ".xlsm", ".xlsb", ".ods")
#: what Python's zipfile raises for a member that can't be unpacked: a wrong checksum, a broken stream, a method it lacks
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery's files by name (the last part of their path, unless two share it)."""

    path: Path
    names: tuple[str, ...]
    _members: dict[str, str] | None = None

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        if self._members is None:
            file = self.path / name if self.path.is_dir() else self.path
            with file.open("rb") as stream:
                yield stream
            return
        with zipfile.ZipFile(self.path) as archive:
            try:
                member = archive.open(self._members[name])
            except _DAMAGED as error:
                raise _damaged(name) from error
            with member as stream:
                declared = archive.getinfo(self._members[name]).file_size
                yield cast(IO[bytes], _Bounded(stream, declared, name))

    def size(self, name: str) -> int:
        if self._members is None:
            return (self.path / name if self.path.is_dir() else self.path).stat().st_size
        with zipfile.ZipFile(self.path) as archive:
            return archive.getinfo(self._members[name]).file_size

    def digest(self) -> str:
        """sha256 over the files' names and contents: the same delivery zipped anew is the same delivery."""
        whole = hashlib.sha256()
        for name in sorted(self.names):
            one = hashlib.sha256()
            with self.open(name) as stream:
                while chunk := stream.read(2**20):
                    one.update(chunk)
            whole.update(name.encode() + b"\0" + one.digest())
        return whole.hexdigest()


def _damaged(name: str) -> IntakeError:
    """A member whose bytes are not those that were packed: it broke on the way."""
    return IntakeError(name, None, None, said("is not a whole zip archive. Send it again; nothing was read."))


class _Bounded:
    """A zip member that may not turn out larger than it declared."""

    def __init__(self, stream: IO[bytes], declared: int, name: str) -> None:
        self._stream, self._left, self._name = stream, declared, name

    def read(self, size: int = -1) -> bytes:
        try:
            chunk = self._stream.read(size if size >= 0 else self._left + 1)
        except _DAMAGED as error:
            raise _damaged(self._name) from error
        self._left -= len(chunk)
        if self._left < 0:
            raise IntakeError(
                self._name, None, None, said("the archive holds more than it declares. Nothing was read from it.")
            )
        return chunk

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def close(self) -> None:
        self._stream.close()

    def flush(self) -> None:
        return None


def open_delivery(path: Path) -> Delivery:
    """Look at a path and list its files, refusing what could harm. Raises IntakeError."""
    if not path.exists():
        raise IntakeError(path.name, None, None, said("there is no such file or folder. Nothing was read."))
    if path.is_dir():
        return Delivery(path, _folder_names(path))
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic[:2] == b"PK" and path.suffix.lower() not in _BOOKS:
        return _zip_delivery(path)
    return Delivery(path, (path.name,))


def _folder_names(path: Path) -> tuple[str, ...]:
    names = []
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_symlink():
            raise IntakeError(
                str(relative), None, None, said("is a link to another place, which is not followed. Send the file.")
            )
        if file.is_file() and not any(part.startswith((".", "__MACOSX")) for part in relative.parts):
            names.append(str(relative))
        if len(names) > MAX_ENTRIES:
            raise IntakeError(
                path.name,
                None,
                None,
                said("holds more than %(max_entries)s files. Nothing was read.", max_entries=f"{MAX_ENTRIES:,}"),
            )
    return tuple(names)


def _entries_declared(path: Path) -> int:
    """How many entries a zip says it has, from its last bytes, before a directory of millions is parsed."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(0, size - 65_557))
        tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END_OF_DIRECTORY:
        raise IntakeError(path.name, None, None, said("is not a whole zip archive. Send it again; nothing was read."))
    entries = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    return max(entries, directory // 46 if entries == 0xFFFF or directory == 0xFFFFFFFF else entries)


def _zip_delivery(path: Path) -> Delivery:
    declared = _entries_declared(path)
    if declared > MAX_ENTRIES or path.stat().st_size > MAX_TOTAL:
        raise IntakeError(
            path.name,
            None,
            None,
            said(
                "the archive lists %(declared)s entries; %(max_entries)s is the most. Nothing was read.",
                declared=f"{declared:,}",
                max_entries=f"{MAX_ENTRIES:,}",
            ),
        )
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise IntakeError(
            path.name, None, None, said("the archive can't be read (%(error)s). Nothing was read.", error=str(error))
        ) from error
    members: dict[str, str] = {}
    total = 0
    with archive:
        for entry in archive.infolist():
            name = entry.filename
            parts = name.replace("\\", "/").split("/")
            if name.startswith(("/", "\\")) or ".." in parts or (len(name) > 1 and name[1] == ":") or "\0" in name:
                raise IntakeError(
                    path.name,
                    None,
                    None,
                    said("the archive names a file outside itself (%(name)s). Nothing was read.", name=repr(name)),
                )
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise IntakeError(
                    path.name,
                    None,
                    None,
                    said(
                        "the archive holds a link (%(name)s), which is not followed. Nothing was read.", name=repr(name)
                    ),
                )
            if entry.is_dir() or "__MACOSX" in parts or parts[-1].startswith("."):
                continue
            if any(c in parts[-1] for c in "\r\n"):
                raise IntakeError(
                    path.name, None, None, said("a file's name in the archive holds a line break. Nothing was read.")
                )
            if entry.flag_bits & 1:
                raise IntakeError(
                    path.name,
                    None,
                    None,
                    said("%(value)s is encrypted. Send it without a password, over a safe channel.", value=parts[-1]),
                )
            total += entry.file_size
            swollen = entry.file_size > _RATIO_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)
            if swollen or entry.file_size > MAX_MEMBER or total > MAX_TOTAL:
                raise IntakeError(
                    path.name,
                    None,
                    None,
                    said(
                        "%(value)s would unpack to %(file_size)s bytes. Nothing was read.",
                        value=parts[-1],
                        file_size=f"{entry.file_size:,}",
                    ),
                )
            if parts[-1].lower().endswith(".zip"):
                raise IntakeError(
                    path.name,
                    None,
                    None,
                    said("holds another archive (%(value)s). Send the files in one zip.", value=parts[-1]),
                )
            short = parts[-1]
            if short in members:
                raise IntakeError(
                    path.name, None, None, said("holds two files named %(short)s. Send one of them.", short=short)
                )
            members[short] = name
    if not members:
        raise IntakeError(path.name, None, None, said("the archive holds no files."))
    return Delivery(path, tuple(members), members)
