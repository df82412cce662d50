"""A model as a file: what was learned, from which days, by which code, and how it did. Readable JSON; never unpickled.

A folder of models keeps every one of them; `current` names the one in use, so that going back is one rename.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from firstbell.forecast.card import GOES_WRONG, IS_FOR, IS_NOT_FOR, READS
from firstbell.forecast.evidence import Fates
from firstbell.forecast.forecasts import Bars
from firstbell.forecast.glassbox import TERMS, GlassBox, Temper
from firstbell.forecast.known import Ahead
from firstbell.forecast.layers import Learned
from firstbell.forecast.lines import Counted
from firstbell.forecast.pooling import Pool
from firstbell.forecast.training import Figures, Key, LayerTwo

__all__ = ["FORMAT", "BadModel", "Model", "Shelf", "code_version"]

FORMAT = 3


class BadModel(ValueError):
    """The file is no model this version can use; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """learned by what is counted; layer two by question; and where they come from.

    years    ends of the school years learned from
    metrics  how it did when a backtest judged it; empty where none has (`LayerTwo.figures` are of the years learned from)
    through  ISO date: nothing recorded later was read
    made_at  ISO time
    """

    learned: dict[Counted, Learned]
    layer_two: LayerTwo
    years: tuple[int, ...]
    through: str
    made_at: str
    code: str
    students: int
    metrics: dict[str, Any]

    def as_json(self) -> str:
        def plain(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return [plain(v) for v in value.tolist()]
            if isinstance(value, float) and not np.isfinite(value):
                return None  # the last cut of an interval: no upper end
            if isinstance(value, dict):
                return {k: plain(v) for k, v in value.items()}
            if isinstance(value, list | tuple):
                return [plain(v) for v in value]
            return value

        questions = [
            {
                "counted": c, "share": s, "horizon": h, "figures": asdict(self.layer_two.figures[c, s, h]),
                "bars": asdict(self.layer_two.bars[c, s, h]), "box": plain(asdict(box)),
            }
            for (c, s, h), box in self.layer_two.boxes.items()
        ]  # fmt: skip
        return json.dumps(
            {
                "format": FORMAT, "made_at": self.made_at, "code": self.code, "years": self.years, "through": self.through,
                "students": self.students, "terms": [t.name for t in TERMS],
                "learned": {c: plain(asdict(learned)) for c, learned in self.learned.items()},
                "questions": questions,
                "tempers": [
                    {"counted": c, "in_a_row": row, "horizon": h} | asdict(t) for (c, row, h), t in self.layer_two.tempers.items()
                ],
                "metrics": plain(self.metrics),
                "card": {
                    "for": IS_FOR, "not_for": IS_NOT_FOR, "reads": READS, "inputs": {t.name: t.meaning for t in TERMS}, "goes_wrong": GOES_WRONG,
                },
            },
            indent=1,
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> Model:
        try:
            raw = json.loads(text)
            if raw["format"] != FORMAT:
                raise BadModel(
                    f"The model is of format {raw['format']}; this version reads format {FORMAT}. Train anew."
                )
            if raw["terms"] != [t.name for t in TERMS]:
                raise BadModel("The model was trained on other terms than this version's. Train anew: firstbell train.")
            learned = {
                Counted(c): Learned(
                    Pool(**_arrays(v["pool"])), Fates(**_arrays(v["fates"])), Ahead(**_arrays(v["ahead"]))
                )
                for c, v in raw["learned"].items()
            }
            two = LayerTwo({}, {}, {})
            for q in raw["questions"]:
                key: Key = (Counted(q["counted"]), q["share"], q["horizon"])
                two.boxes[key] = GlassBox(**_arrays(q["box"]))
                two.bars[key] = Bars(**q["bars"])
                two.figures[key] = Figures(**q["figures"])
            for q in raw["tempers"]:
                two.tempers[Counted(q["counted"]), q["in_a_row"], q["horizon"]] = Temper(
                    q["slope"], q["tilt"], q["shift"]
                )
            return cls(
                learned, two, tuple(raw["years"]), raw["through"], raw["made_at"], raw["code"], raw["students"],
                raw["metrics"],
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadModel):
                raise
            raise BadModel(f"The file is no model of Firstbell's, or it was cut short ({error}).") from error


def _arrays(raw: dict[str, Any]) -> dict[str, Any]:
    def array(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return np.array(
            [
                [np.inf if v is None else v for v in row] if isinstance(row, list) else np.inf if row is None else row
                for row in value
            ]
        )

    return {name: array(value) for name, value in raw.items()}


@cache
def code_version() -> str:
    """The package's version and a short hash of the code that makes a forecast: the same code gives the same answers."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), here.parent / "signals" / "kernel.py"]):
        digest.update(path.read_bytes())
    return f"{version('firstbell')}+{digest.hexdigest()[:10]}"


class Shelf:
    """A folder of models, numbered in the order they were made, one of them in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        return sorted(int(p.stem) for p in self.folder.glob("*.json") if p.stem.isdigit())

    def current(self) -> int | None:
        pointer = self.folder / "current"
        return int(pointer.read_text()) if pointer.exists() else None

    def load(self, number: int | None = None) -> Model | None:
        """The model in use, or this one; None where there is none yet."""
        number = self.current() if number is None else number
        if number is None:
            return None
        path = self.folder / f"{number}.json"
        if not path.exists():
            raise BadModel(f"There is no model {number}. There is: {', '.join(map(str, self.numbers())) or 'none'}.")
        return Model.from_json(path.read_text())

    def keep(self, model: Model) -> int:
        """Write it under the next number and use it. A crash leaves the one before in use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = max(self.numbers(), default=0) + 1
        beside = self.folder / f"{number}.json.part"
        beside.write_text(model.as_json())
        beside.rename(self.folder / f"{number}.json")
        self.use(number)
        return number

    def use(self, number: int) -> None:
        self.load(number)  # refuses what can't be read
        beside = self.folder / "current.part"
        beside.write_text(str(number))
        beside.rename(self.folder / "current")
