"""The words of the pages: `collect` finds every translatable string, `compile` makes what gettext reads.

Babel does both, so that no system gettext is needed. `missing(language)` is what the tests ask.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

SOURCE = Path(__file__).resolve().parent.parent / "src" / "firstbell"
LOCALE = SOURCE / "locale"
LANGUAGES = ("es", "ar")
KEYWORDS = {
    "gettext": None, "gettext_lazy": None, "gettext_noop": None, "_": None, "N_": None,
    "ngettext": (1, 2), "ngettext_lazy": (1, 2), "pgettext": ((1, "c"), 2), "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3), "said": None, "said_n": (1, 2),
}  # fmt: skip


def strings() -> Iterator[tuple[str, int, object, str | None]]:
    from django.conf import settings
    from django.utils.translation.template import templatize

    if not settings.configured:
        settings.configure(USE_I18N=True)
    for file in sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.html"), *SOURCE.rglob("*.txt")]):
        text = file.read_text()
        if file.suffix != ".py":
            text = templatize(text)
        for line, message, _comments, context in extract("python", io.BytesIO(text.encode()), keywords=KEYWORDS):
            yield str(file.relative_to(SOURCE)), line, message, context


def template() -> Catalog:
    catalog = Catalog(project="Firstbell", charset="utf-8")
    for file, _line, message, context in strings():
        catalog.add(message, locations=[(file, 0)], context=context, flags=())
    return catalog


def read(language: str) -> Catalog:
    file = LOCALE / language / "LC_MESSAGES" / "django.po"
    if not file.exists():
        return Catalog(locale=language, project="Firstbell", charset="utf-8")
    with file.open("rb") as stream:
        return read_po(stream, locale=language)


def missing(language: str) -> list[str]:
    """Strings of the pages that this language has no words for."""
    known = read(language)
    absent = []
    for message in template():
        if not message.id:
            continue
        singular = message.id[0] if isinstance(message.id, (list, tuple)) else message.id
        found = known.get(singular, message.context)
        words = found.string if found else ""
        if not found or found.fuzzy or not all(words if isinstance(words, (list, tuple)) else [words]):
            absent.append(singular)
    return absent


def collect() -> None:
    pot = template()
    for language in LANGUAGES:
        catalog = read(language)
        catalog.update(pot, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        catalog.fuzzy, catalog.header_comment = False, "# The words of Firstbell's pages."
        catalog.project, catalog.version, catalog.last_translator, catalog.language_team = "Firstbell", "", "", ""
        catalog.creation_date = catalog.revision_date = datetime(
            2026, 1, 1, tzinfo=UTC
        )  # a date of today would change every file
        file = LOCALE / language / "LC_MESSAGES" / "django.po"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as stream:
            write_po(stream, catalog, width=110, omit_header=False, include_lineno=False, sort_output=True)
        print(f"{language}: {len(missing(language))} strings to translate")


def compile_all() -> None:
    for language in LANGUAGES:
        po = LOCALE / language / "LC_MESSAGES" / "django.po"
        mo = po.with_suffix(".mo")
        if po.exists() and (not mo.exists() or mo.stat().st_mtime < po.stat().st_mtime):
            beside = mo.with_suffix(f".{os.getpid()}.part")  # whole or not at all: tests run side by side
            with beside.open("wb") as stream:
                write_mo(stream, read(language))
            beside.replace(mo)


if __name__ == "__main__":
    {"collect": collect, "compile": compile_all}[sys.argv[1]]()
