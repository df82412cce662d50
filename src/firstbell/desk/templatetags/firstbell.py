"""Template tags: icons, the register's pictures, letters in words."""

from __future__ import annotations

from typing import Any

from babel import Locale
from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, get_language_bidi

from firstbell.desk import gridsvg
from firstbell.watch.course import Course
from firstbell.watch.lists import Row
from firstbell.watch.record import Year

register = template.Library()


@register.simple_tag
def icon(name: str, *, flips: bool = False) -> SafeString:
    """A Lucide icon; decoration beside words, so hidden from screen readers."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        " flips" if flips else "", static("vendor/icons.svg"), name,
    )  # fmt: skip


@register.simple_tag
def strip(row: Row) -> SafeString:
    return gridsvg.strip_svg(row.letters, row.dates, rtl=get_language_bidi())


@register.simple_tag
def year_picture(year: Year, highlights: Any = (), course: Course | None = None) -> SafeString:
    return gridsvg.year_svg(
        year.codes, year.letters, year.dates, year.sessions, year.through, highlights or (), course=course,
        rtl=get_language_bidi(),
    )  # fmt: skip


@register.simple_tag
def year_rows(year: Year) -> list[Any]:
    return gridsvg.year_table(year.letters, year.dates, year.through)


@register.filter
def language_name(code: str) -> str:
    """A language's name in the reader's own; a code nobody knows stays as it is."""
    try:
        return Locale.parse(get_language() or "en").languages.get(code, code)
    except ValueError:
        return code


@register.filter
def letter_words(letters: str) -> str:
    """ "EEP" → "away, excused; present" """
    return "; ".join(dict.fromkeys(str(gridsvg.LETTER_WORDS.get(c, c)) for c in letters))


@register.simple_tag
def legend(years: list[tuple[Year, Course]]) -> list[tuple[str, str]]:
    """The usual letters, and whatever else these years hold."""
    held = set("PTEUN").union(*(year.codes[: year.through * year.sessions] for year, _course in years)) - set("# ")
    return [(letter, str(words)) for letter, words in gridsvg.LETTER_WORDS.items() if letter in held]


@register.filter
def ltr(text: object) -> SafeString:
    """A date as 2021-09-01, or a name of a rule, keeps its order among Arabic words, which would else turn it round."""
    return format_html('<bdi dir="ltr">{}</bdi>', text)
