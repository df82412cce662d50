"""A sentence written at night in English is read in the morning in the reader's own language."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firstbell.intake.readers.values import Bad
from firstbell.said import Said, packed, said, said_n, unpacked

SPANISH = {
    "is longer than %(n)s characters": "tiene más de %(n)s caracteres",
    "%(file)s: %(reason)s": "%(file)s: %(reason)s.",
    "read %(what)s": "leído %(what)s",
    "students": "estudiantes",
    "%(n)s row waits": "espera %(n)s fila",
    "%(n)s rows wait": "esperan %(n)s filas",
}


def spanish(kept: str) -> str:
    found = unpacked(kept)
    assert isinstance(found, Said)
    return found.into(lambda t: SPANISH[t], lambda one, many, n: SPANISH[one if n == 1 else many])


def test_it_reads_as_english_where_nobody_translates() -> None:
    assert said("is longer than %(n)s characters", n=200) == "is longer than 200 characters"


def test_what_is_kept_is_read_in_another_language_with_its_values() -> None:
    assert spanish(packed(said("is longer than %(n)s characters", n=200))) == "tiene más de 200 caracteres"


def test_a_sentence_within_a_sentence_and_a_list_of_them_are_translated_too() -> None:
    inner = said("is longer than %(n)s characters", n=9)
    assert (
        spanish(packed(said("%(file)s: %(reason)s", file="a.csv", reason=inner))) == "a.csv: tiene más de 9 caracteres."
    )
    assert spanish(packed(said("read %(what)s", what=[said("students"), "x"]))) == "leído estudiantes, x"


def test_one_and_many_differ() -> None:
    assert [spanish(packed(said_n("%(n)s row waits", "%(n)s rows wait", n))) for n in (1, 3)] == [
        "espera 1 fila",
        "esperan 3 filas",
    ]


def test_an_error_keeps_what_it_was_made_of() -> None:
    assert isinstance(str(Bad(said("students"))), Said)


@given(st.text(), st.text())
def test_any_value_comes_back_as_it_was(value: str, plain: str) -> None:
    assert unpacked(packed(said("a %(value)s b", value=value))) == f"a {value} b"
    assert unpacked(packed(plain)) == plain or plain.startswith('{"said": ')


def test_a_text_that_only_looks_like_a_kept_sentence_is_left_alone() -> None:
    for text in ('{"said": 3}', '{"said": [1]}', '{"said": broken'):
        assert unpacked(text) == text
