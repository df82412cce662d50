import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("register", "0002_folds"),
        ("watch", "0002_lines_ahead"),
    ]

    operations = [
        # a summary is made again by the next night, in fewer bytes
        migrations.RunSQL("DELETE FROM watch_calendarsummary", migrations.RunSQL.noop),
        migrations.RemoveField(model_name="calendarsummary", name="rows"),
        migrations.RemoveField(model_name="calendarsummary", name="versions"),
        migrations.AddField(
            model_name="calendarsummary",
            name="folds",
            field=models.PositiveBigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name="CalendarPass",
            fields=[
                (
                    "calendar",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="last_pass",
                        serialize=False,
                        to="register.calendar",
                    ),
                ),
                ("read", models.CharField(max_length=64)),
                ("change", models.BigIntegerField()),
                ("wakes", models.DateField()),
                (
                    "school",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="register.school"
                    ),
                ),
            ],
        ),
        # an alert has an index for its list and one for its student; one more for each would be written half a million times a night
        migrations.AlterField(
            model_name="alert",
            name="school",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to="register.school"
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="student",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="alerts",
                to="register.student",
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="section",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="register.section",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("section__isnull", False)), fields=["section"], name="alert_section"
            ),
        ),
    ]
