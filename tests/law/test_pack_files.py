"""A pack file that is wrong is refused with the line that is wrong; nothing is taken from it."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from firstbell.law.packs import PackError, read_pack, schema

GOOD = """id = "home"
jurisdiction = "HOME"
title = "Home"
effective_from = 2025-08-01

[[source]]
id = "law"
citation = "Home Code 1"

[counts.each]
strategy = "full_day_only"
marks = ["unexcused"]

[[rule]]
id = "help"
title = "Ten days"
source = "law"
count = "each"
threshold = { count = 10 }
window = { kind = "school_year" }

[[rule]]
id = "roll"
title = "Ten in ninety"
source = "law"
count = "each"
threshold = { count = 10 }
window = { kind = "rolling_calendar_days", length = 90 }

[rule.duty]
kind = "notify"
title = "Write"
"""


def test_the_good_file_is_read() -> None:
    assert [r.id for r in read_pack(GOOD, "home.toml").rule] == ["help", "roll"]


@pytest.mark.parametrize(
    ("was", "is_", "line", "words"),
    [
        ('jurisdiction = "HOME"\n', "", 1, "missing required field `jurisdiction`"),
        ('title = "Ten days"\n', "", 14, "missing required field `title`"),
        ('title = "Ten in ninety"\n', "", 22, "missing required field `title`"),
        ('citation = "Home Code 1"\n', "", 6, "missing required field `citation`"),
        ('title = "Home"\n', 'title = "Home"\nnmae = "x"\n', 4, "unknown field `nmae`"),
        ('kind = "notify"\n', 'kind = "notify"\nseverty = "punitive"\n', 32, "unknown field `severty`"),
        ('title = "Ten in ninety"\n', 'title = "Ten in ninety"\nner = 3\n', 25, "unknown field `ner`"),
        ('kind = "notify"', 'kind = "notfy"', 31, "Invalid enum value 'notfy'"),
        ('strategy = "full_day_only"', 'strategy = "whole_days"', 11, "Invalid enum value 'whole_days'"),
        ('marks = ["unexcused"]\n', 'marks = ["unexcused"]\nperiod = 2\n', 13, "unknown field `period`"),
        ('marks = ["unexcused"]\n', 'marks = ["unexcused"]\n\n[counts.late]\nmarks = ["tardy"]\n', 14, "missing required field `strategy`"),
        ('marks = ["unexcused"]\n', 'marks = ["unexcused", "truant"]\n', 12, "Invalid enum value 'truant'"),
        ('kind = "notify"\n', 'kind = "notify"\nforbidden_if = ["homeless", "fostre"]\n', 32, "There is no flag 'fostre'; did you mean 'foster'? There is: homeless, foster"),
        ('title = "Ten in ninety"\n', 'title = "Ten in ninety"\napplies = { flags = ["homless"] }\n', 25, "'homless'; did you mean 'homeless'?"),
        ('title = "Ten in ninety"\n', 'title = "Ten in ninety"\napplies = { not_flags = ["iep", "zz"] }\n', 25, "There is no flag 'zz'. There is: homeless"),
        ("effective_from = 2025-08-01\n", "effective_from = 2025-08-01\neffective_to = 2025-07-31\n", 5, "It ends before it begins."),
        ("effective_from = 2025-08-01\n", "effective_from = 2025-08-01\nverified_on = 2025-09-01\n", 5, "both who verified it and on which day"),
        ("effective_from = 2025-08-01\n", 'effective_from = 2025-08-01\nmetrics = ["adm", "ada2"]\n', 5, "There is no metric ada2"),
        ("effective_from = 2025-08-01\n", "effective_from = 2025-08-01\nages = { from = 18, under = 6 }\n", 5, "Nobody is 18 and under 6."),
        ('source = "law"\n', 'source = "law"\napplies = { ages = { from = 16, under = 16 } }\n', 18, "Nobody is 16 and under 16."),
        ("threshold = { count = 10 }\nwindow = { kind = \"rolling", "threshold = { count = -1 }\nwindow = { kind = \"rolling", 27, ""),
        ('count = "each"\nthreshold = { count = 10 }\nwindow = { kind = "rolling', 'count = "all"\nthreshold = { count = 10 }\nwindow = { kind = "rolling', 26, "counts 'all'; the file defines each"),
        (', length = 90', "", 28, "a rolling window and a school month have a length"),
        ('{ kind = "school_year" }', '{ kind = "school_year", length = 3 }', 20, "no other window has"),
        ('{ kind = "school_year" }', '{ kind = "fortnight" }', 20, "Invalid enum value 'fortnight'"),
        ('id = "roll"', 'id = "help"', 22, "Two rules are called help"),
        ('source = "law"\ncount = "each"\nthreshold = { count = 10 }\nwindow = { kind = "school', 'source = "lore"\ncount = "each"\nthreshold = { count = 10 }\nwindow = { kind = "school', 17, "names a source 'lore'"),
        ('threshold = { count = 10 }\nwindow = { kind = "school', 'threshold = { count = 10, share = "1/10" }\nwindow = { kind = "school', 19, "either a count or a share"),
        ('citation = "Home Code 1"\n', 'citation = "Home Code 1"\nwords = "Ten days."\nsha256 = "0"\n', 10, "changed after they were checked"),
        ('citation = "Home Code 1"\n', 'citation = "Home Code 1"\nwords = "Ten days."\n', 6, "both its words and their sha256"),
        ('citation = "Home Code 1"\n', 'citation = "Home Code 1"\nread = true\n', 9, "law is said to have been read, and no words of it are quoted"),
        ('citation = "Home Code 1"\n', 'citation = "Home Code 1"\nread_on = 2026-11-28\n', 9, "the day on which law was read, and not that it was"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_line(was: str, is_: str, line: int, words: str) -> None:
    assert was in GOOD
    with pytest.raises(PackError) as error:
        read_pack(GOOD.replace(was, is_, 1), "home.toml")
    assert f"home.toml, line {line}:" in str(error.value)
    assert words in str(error.value)
    assert str(error.value).endswith("Nothing was taken from it.")


def test_what_is_no_toml_says_where() -> None:
    with pytest.raises(PackError, match=r"home.toml is not TOML: .*line 3"):
        read_pack(GOOD.replace('title = "Home"', 'title = "Home'), "home.toml")


def test_the_published_schema_is_the_formats_own() -> None:
    """Written by `firstbell law schema > src/firstbell/law/pack.schema.json`."""
    published = (files("firstbell.law") / "pack.schema.json").read_text("utf-8")
    assert json.loads(published) == json.loads(json.dumps(schema()))


INSTITUTION = """
[[institution]]
id = "report"
title = "The year's report"
source = "law"
who = "board"
each = { value = 42, unit = "calendar_days", from = "year_end" }
recipients = ["parents"]
"""


@pytest.mark.parametrize(
    ("was", "is_", "words"),
    [
        ('{ count = 10 }\nwindow = { kind = "school_year" }', '{ count = 0 }\nwindow = { kind = "school_year" }', "help: the line is at nothing"),
        ('id = "report"', 'id = "help"', "help is a rule's name too"),
        ('source = "law"\nwho', 'source = "lore"\nwho', "names a source 'lore'"),
        ('from = "year_end"', 'from = "notice"', "and no notice"),
        ('kind = "notify"', 'kind = "notify"\ndeadline = { value = 2, before = true }', "only a deadline by a count"),
        ('kind = "notify"', 'kind = "notify"\ndeadline = { value = 7, unit = "counted", from = "notice" }', "runs from nothing else"),
        ('kind = "notify"', 'kind = "notify"\ndone_from = "roll"', "'roll' is none"),
        ('kind = "notify"', 'kind = "notify"\nrequires = ["help"]', "names help, of which nothing is ever put on record"),
        ('length = 90 }', 'length = 90, after_evidence = "roll" }', "begins with roll, which has to stand before it"),
    ],
)  # fmt: skip
def test_what_the_types_cannot_say_is_refused_too(was: str, is_: str, words: str) -> None:
    good = GOOD + INSTITUTION
    read_pack(good, "home.toml")
    assert was in good
    with pytest.raises(PackError) as error:
        read_pack(good.replace(was, is_, 1), "home.toml")
    assert words in str(error.value)
