"""A replay kept from before tells less than its page shows now: it says so, and is asked anew. Its export stays as it was."""

from typing import Any

from django.db import migrations

from firstbell.said import packed, said

LESS = packed(said("It was reckoned by an earlier Firstbell, which told less."))


def ask_anew(apps: Any, schema_editor: Any) -> None:
    runs = apps.get_model("casework", "ReplayRun").objects.filter(state="done").exclude(result__contains='"load_by"')
    runs.update(state="failed", problem=LESS)


def as_before(apps: Any, schema_editor: Any) -> None:
    apps.get_model("casework", "ReplayRun").objects.filter(problem=LESS).update(state="done", problem="")


class Migration(migrations.Migration):
    dependencies = [("casework", "0010_as_what_somebody_signed")]
    operations = [migrations.RunPython(ask_anew, as_before)]
