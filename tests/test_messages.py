"""The words of the pages: Spanish is complete, no translation loses a value, and no page has words outside gettext."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from scripts import messages

SOURCE = Path(messages.SOURCE)
VALUES = re.compile(r"%\((\w+)\)[sd]|%%|\{(\w+)\}")


@pytest.mark.parametrize("language", ["es"])
def test_every_string_is_translated(language: str) -> None:
    assert messages.missing(language) == []


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_no_translation_loses_or_invents_a_value(language: str) -> None:
    wrong = []
    for message in messages.read(language):
        if not message.id or not message.string:
            continue
        singular, *plural = message.id if isinstance(message.id, (list, tuple)) else [message.id]
        forms = message.string if isinstance(message.string, (list, tuple)) else [message.string]
        if not all(forms):
            continue  # not translated: shown in English
        allowed = set(VALUES.findall(plural[0] if plural else singular))
        for form in forms:
            found = set(VALUES.findall(form))
            if found - allowed or (not plural and found != allowed):
                wrong.append((singular, form))
        if plural and set(VALUES.findall(forms[-1])) != allowed:
            wrong.append((singular, forms[-1]))
    assert wrong == []


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_markup_in_a_translation_is_the_originals(language: str) -> None:
    tags = re.compile(r"</?\w+[^>]*>")
    wrong = [
        m.id for m in messages.read(language)
        if isinstance(m.id, str) and m.id and m.string and sorted(tags.findall(m.id)) != sorted(tags.findall(str(m.string)))
    ]  # fmt: skip
    assert wrong == []


def test_what_is_compiled_is_what_is_written() -> None:
    for language in messages.LANGUAGES:
        mo = messages.LOCALE / language / "LC_MESSAGES" / "django.mo"
        assert mo.exists(), "run `make setup`"
        assert mo.stat().st_mtime >= mo.with_suffix(".po").stat().st_mtime, "run `make setup`"


class Words(HTMLParser):
    """Text and spoken attributes that stand in a template as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if re.search(r"[^\W\d_]{2,}", data):
            self.found.append(data.strip())

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("aria-label", "title", "placeholder", "alt") and value and re.search(r"[^\W\d_]{2,}", value):
                self.found.append(value)


#: the product's own name, and what no language changes
NAMES = {"Firstbell", "· Firstbell"}


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.html")), ids=lambda f: f.name)
def test_a_page_says_nothing_outside_gettext(file: Path) -> None:
    text = re.sub(r"{%-?\s*blocktrans(late)?.*?{%-?\s*endblocktrans(late)?\s*-?%}", "", file.read_text(), flags=re.S)
    text = re.sub(r"{% block main_class %}\w*{% endblock %}", "", text)  # a class, not a word
    text = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.S)
    words = Words()
    words.feed(text)
    assert [w for w in words.found if w not in NAMES] == []
