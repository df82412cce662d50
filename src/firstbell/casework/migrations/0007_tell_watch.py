from datetime import timedelta

from django.db import migrations


def tell_watch(apps, _editor):
    """What was adopted before alerts followed it (casework.adopting.tell_watch, as it was then)."""
    some = list(apps.get_model("casework", "Adoption").objects.filter(withdrawn_at=None).exclude(approved_at=None))
    turns = sorted({a.starts for a in some} | {a.ends + timedelta(days=1) for a in some if a.ends})
    for turn, following in zip(turns, [*turns[1:], None], strict=False):
        there = [a for a in some if a.starts <= turn and (a.ends is None or a.ends >= turn)]
        if there:
            found = max(there, key=lambda a: (a.starts, a.approved_at, a.pk))
            apps.get_model("watch", "LawInForce").objects.create(
                pack=found.pack, overlay=found.overlay, first=turn, last=following and following - timedelta(days=1)
            )


def forget(apps, _editor):
    """Gone back and done again, it is told once."""
    apps.get_model("watch", "LawInForce").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("casework", "0006_letters_by_email"), ("watch", "0005_law_in_force")]

    operations = [migrations.RunPython(tell_watch, forget)]
