from bisect import bisect_right

from django.db import migrations, models
from django.db.models import F

from firstbell.register.models import SCHOOL_DAY_TYPES
from firstbell.watch.kinds import KINDS, Clock, Kind


def write_down(apps, editor):
    """Back to alerts that say all of themselves: those whose ground stands are written as their calendar's last look has them."""
    alerts = apps.get_model("watch", "Alert").objects.filter(state="open", expires_on=None)
    looks = apps.get_model("watch", "CalendarPass").objects.exclude(as_of=None).in_bulk()
    days = apps.get_model("register", "CalendarDay").objects.filter(day_type__in=SCHOOL_DAY_TYPES)
    for calendar in list(alerts.values_list("calendar", flat=True).distinct()):
        dates = sorted(days.filter(calendar=calendar).values_list("date", flat=True))
        here, look = alerts.filter(calendar=calendar), looks.get(calendar)
        if look is not None:
            before = here.filter(known_through__lte=look.known_through)
            grow = [kind.value for kind, rule in KINDS.items() if rule.of_days]
            before.filter(kind__in=grow).update(of=F("of") + look.through - F("through"))
            before.update(as_of=look.as_of, known_through=look.known_through, through=look.through)
        for kind, as_of in list(here.values_list("kind", "as_of").distinct()):
            rule, last = KINDS[Kind(kind)], as_of
            if rule.clock is not Clock.TODAY and dates:
                last = dates[min(bisect_right(dates, as_of) + rule.life, len(dates)) - 1]
            here.filter(kind=kind, as_of=as_of).update(expires_on=last)
    if editor.connection.vendor == "postgresql":  # a table with foreign keys still to be checked is not altered
        editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [
        ("register", "0002_folds"),
        ("watch", "0005_law_in_force"),
    ]

    operations = [
        # an alert that is here keeps the day it has, until the next look finds its ground
        migrations.AlterField(model_name="alert", name="expires_on", field=models.DateField(null=True)),
        migrations.AddField(model_name="alert", name="through", field=models.PositiveSmallIntegerField(null=True)),
        migrations.AddField(model_name="calendarpass", name="as_of", field=models.DateField(null=True)),
        migrations.AddField(model_name="calendarpass", name="known_through", field=models.DateTimeField(null=True)),
        migrations.AddField(
            model_name="calendarpass", name="through", field=models.PositiveSmallIntegerField(null=True)
        ),
        migrations.RunPython(migrations.RunPython.noop, write_down),
    ]
