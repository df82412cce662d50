import re
from datetime import date, timedelta

from django.db import migrations
from django.db.models import Max

AT_ONCE = 5000


def shorter(text):
    """ "2026-11-02U 2026-11-04N" as "2026-11-02U2N"."""
    found, last, letters = "", None, ""
    for part in text.split():
        day = date.fromisoformat(part[:10])
        found += f"{'' if letters else ' '}{(day - last).days}" if last else part[:10]
        last, letters = day, part[10:]
        found += letters
    return found


def longer(text):
    found, day = [], None
    for when, letters in re.findall(r"(\d{4}-\d\d-\d\d|\d+)(\D*)", text):
        day = day + timedelta(days=int(when)) if day else date.fromisoformat(when)
        found.append(f"{day}{letters.strip()}")
    return " ".join(found)


def each(write):
    def told_anew(apps, editor):
        Alert = apps.get_model("watch", "Alert")
        last = Alert.objects.aggregate(last=Max("pk"))["last"] or 0
        with editor.connection.cursor() as cursor:
            for first in range(0, last + 1, AT_ONCE):
                some = Alert.objects.filter(pk__gte=first, pk__lt=first + AT_ONCE).values_list("pk", "days")
                changed = [(new, pk) for pk, days in some if (new := write(days)) != days]
                cursor.executemany(f"UPDATE {Alert._meta.db_table} SET days = %s WHERE id = %s", changed)  # noqa: S608 - our own name

    return told_anew


class Migration(migrations.Migration):
    dependencies = [("watch", "0006_lasting")]

    operations = [migrations.RunPython(each(shorter), each(longer))]
