"""Every pack's worked examples, written from the statutes' words: what reaches a line, and what falls just short of it."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from firstbell.law import packs
from firstbell.law.scenario import Scenario, ask, told

HERE = Path(__file__).parent / "packs"
REACHED = {"reached", "duty_open", "duty_done", "locked", "forbidden"}


def examples() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted(HERE.glob("*.toml")):
        tables = tomllib.loads(path.read_text("utf-8"))
        given = {k: v for k, v in tables.items() if k not in ("example", "pack")}
        pack = tables.get("pack", path.stem)
        found += [(example.get("pack", pack), {**given, **example}) for example in tables["example"]]
    return found


EXAMPLES = examples()


def plain(value: Any) -> Any:
    return (
        value.isoformat()
        if isinstance(value, date)
        else [plain(v) for v in value]
        if isinstance(value, list)
        else value
    )


@pytest.mark.parametrize(
    ("pack", "example"), EXAMPLES, ids=[f"{p}: {e.get('rule') or e['metric']}: {e['title']}" for p, e in EXAMPLES]
)
def test_a_worked_example(pack: str, example: dict[str, Any]) -> None:
    tables = {k: v for k, v in example.items() if k not in ("rule", "metric", "title", "statute", "expect")}
    answer = told(ask(msgspec.convert({"pack": pack, **tables}, Scenario)))
    if "metric" in example:
        found = answer["metrics"][example["metric"]]
    else:
        (found,) = [
            p for p in answer["positions"]
            if p["rule"] == example["rule"] and p["version"] == example["expect"].get("version", p["version"])
        ]  # fmt: skip
    days = {
        k: found[k] or "" for k in ("fired_on", "due", "due_in", "not_before", "leaves") if k in found
    }  # "": no such day
    assert {k: days.get(k, found[k]) for k in example["expect"]} == {k: plain(v) for k, v in example["expect"].items()}


def version_of(pack: str, example: dict[str, Any]) -> str:
    """Which version an example is about: the one it names, else the one in force on its day."""
    day = example["as_of"]
    return str(example["expect"].get("version") or packs.in_force(packs.versions(pack), day, day)[0].pack.version)


@pytest.mark.parametrize(
    ("pack", "version", "rule"),
    [(p.id, p.version, r.id) for some in packs.built_in().values() for p in some for r in p.rule],
)
def test_every_rule_has_an_example_that_reaches_it_and_one_that_falls_just_short(
    pack: str, version: str, rule: str
) -> None:
    said = [e["expect"] for p, e in EXAMPLES if p == pack and e.get("rule") == rule and version_of(p, e) == version]
    assert any(e.get("status") in REACHED for e in said)
    assert any(e.get("status") in ("near", "clear") for e in said)
