import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("register", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="calendar",
            name="folds",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="registerrow",
            name="student",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="rows",
                to="register.student",
            ),
        ),
        migrations.AddIndex(
            model_name="registerrow",
            index=models.Index(fields=["student", "calendar"], name="register_row_whose"),
        ),
    ]
