"""Receiving: the bytes are copied aside and named by their digest before anything reads them."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from firstbell import clock
from firstbell.access import audit
from firstbell.access.models import User
from firstbell.intake.models import Import, Source
from firstbell.intake.readers.archive import MAX_ENTRIES, open_delivery
from firstbell.intake.readers.records import IntakeError
from firstbell.intake.reading import kind_of

_PIECE = 1 << 20
_LEFT_SECONDS = 24 * 3600


class NotReceived(Exception):  # the name reads as what happened
    """Nothing was kept of a delivery; the sentence says why and what to do."""


class Upload(Protocol):
    """What a browser sent: Django's UploadedFile."""

    name: str | None

    def chunks(self) -> Iterator[bytes]: ...


def intake_home() -> Path:
    return Path(settings.HOME) / "intake"


def folder_of(delivery: Import) -> Path:
    """Where a delivery's received bytes and its stage lie."""
    return intake_home() / str(delivery.pk)


def received(delivery: Import) -> Path:
    """What the reader opens: the one file that came, or the folder of them."""
    return _opened(folder_of(delivery) / "received")


def _opened(place: Path) -> Path:
    alone = list(place.iterdir()) if place.is_dir() else []
    return alone[0] if len(alone) == 1 and alone[0].is_file() else place


def safe_name(name: str) -> str:
    """A file's name as it may be kept and shown, or NotReceived: no folders, no line ends, no control characters."""
    bare = name.replace("\\", "/").rsplit("/", 1)[-1]
    if not bare or bare in (".", "..") or any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in name):
        raise NotReceived(
            _("The file's name holds a line end or another character that can't be shown. Nothing was kept; rename it.")
        )
    return bare[:150]


def a_source(name: str | None, kind: str) -> Source:
    """The source of that name, made when it is new. Without a name: the only source of this kind, else one so called."""
    if name is None:
        known = list(Source.objects.filter(kind=kind)[:2])
        if len(known) == 1:
            return known[0]
        if len(known) == 2:
            raise NotReceived(
                _("Several sources send %(kind)s. Say which one this is from; nothing was kept.")
                % {"kind": Source.Kind(kind).label}
            )
    slug = slugify(name or kind)[:60]
    if not slug:
        raise NotReceived(_("A source needs a name of letters or digits. Nothing was kept."))
    source, new = Source.objects.get_or_create(name=slug, defaults={"kind": kind})
    if not new and source.kind != kind and not source.imports.filter(state=Import.State.APPLIED).exists():
        source.kind = kind  # what was sent first was wrong, and nothing of it was applied
        source.save(update_fields=["kind"])
    if source.kind != kind:
        raise NotReceived(
            _("The source “%(name)s” sends %(was)s, but this is %(now)s. Nothing was kept; choose another source.")
            % {"name": source.name, "was": Source.Kind(source.kind).label, "now": Source.Kind(kind).label}
        )
    return source


def receive(
    what: Path | Upload | Iterable[Upload],
    source: Source | str | None,
    by: User | str,
    *,
    complete_through: date | None = None,
) -> Import:
    """Copy a delivery aside, see what kind it is, and give it a number. `source`: as in `a_source`.

    The same bytes as the source's last applied delivery: nothing is kept or done, and that delivery is returned
    (its state says applied). Else a new one, received.
    """
    home = intake_home()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(home)
    aside = home / f"incoming-{secrets.token_hex(8)}"
    (aside / "received").mkdir(parents=True)
    try:
        name, digest = _copy(what, aside / "received")
        try:
            kind = kind_of(open_delivery(_opened(aside / "received")))
        except IntakeError as error:
            raise NotReceived(str(error)) from error
        if not isinstance(source, Source):
            source = a_source(source, kind)
        last = source.imports.filter(state=Import.State.APPLIED, retry=False).order_by("-applied_at", "-pk").first()
        if last is not None and last.digest == digest and complete_through in (None, last.complete_through):
            return last
        with transaction.atomic():
            delivery = Import.objects.create(
                source=source, name=name, digest=digest, received_at=clock.now(), received_by=audit.actor_name(by),
                complete_through=complete_through,
            )  # fmt: skip
            place = folder_of(delivery)
            if place.exists():  # left by a crash before its row was committed: the number was never given out
                shutil.rmtree(place)
            aside.rename(place)
            delivery.path = place.name
            delivery.save(update_fields=["path"])
            audit.record(by, "received_data", f"import:{delivery.pk}", f"source {source.name}, sha256 {digest}")
        return delivery
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove what a crash left half copied: nobody was told it was received."""
    for left in home.glob("incoming-*"):
        if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _copy(what: Path | Upload | Iterable[Upload], to: Path) -> tuple[str, str]:
    """The delivery's name and the digest over its files' names and contents."""
    digests: list[str] = []
    if isinstance(what, Path):
        if not what.exists():
            raise NotReceived(_("There is no file or folder at %(path)s.") % {"path": what})
        files = [what] if what.is_file() else sorted(_few(_files_in(what)))
        base = what.parent if what.is_file() else what
        name = safe_name(what.resolve().name)
        for file in files:
            relative = file.relative_to(base)
            target = to / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as stream:
                digests.append(f"{relative.as_posix()} {_keep(iter(lambda s=stream: s.read(_PIECE), b''), target)}")
    else:
        uploads = [what] if hasattr(what, "chunks") else list(what)  # type: ignore[list-item,arg-type]
        names = [safe_name(str(upload.name or "")) for upload in uploads]
        if len(set(names)) != len(names):
            raise NotReceived(_("Two of the files have the same name. Nothing was kept; send each once."))
        name = names[0] if len(names) == 1 else _("%(count)s files") % {"count": len(names)}
        for file_name, upload in sorted(zip(names, uploads, strict=True), key=lambda pair: pair[0]):
            digests.append(f"{file_name} {_keep(upload.chunks(), to / file_name)}")
    if not digests:
        raise NotReceived(_("There is no file in it. Nothing was kept."))
    return name, hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _few(files: Iterator[Path]) -> Iterator[Path]:
    """The files, counted before any is copied: no delivery is a whole disk."""
    for n, file in enumerate(files, 1):
        if n > MAX_ENTRIES:
            raise NotReceived(
                _("There are more than %(n)s files in it: is it the right folder? Nothing was kept.")
                % {"n": MAX_ENTRIES}
            )
        yield file


def _files_in(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, none reached through a link, none hidden."""
    for parent, folders, files in os.walk(folder, followlinks=False):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "__MACOSX"]
        for file in files:
            path = Path(parent) / file
            if path.is_symlink():
                raise NotReceived(
                    _("%(name)s is a link to a file elsewhere. Nothing was kept; send the file itself.")
                    % {"name": file}
                )
            if not path.is_file() or file.startswith("."):
                continue
            yield path


def _keep(pieces: Iterator[bytes], target: Path) -> str:
    found = hashlib.sha256()
    with target.open("xb") as out:
        for piece in pieces:
            found.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return found.hexdigest()
