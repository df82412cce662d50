"""The office a sanction was put on record and confirmed in; a letter is signed in any office, by its name, and its triggers are put back."""

from importlib import import_module

from django.db import migrations, models

letters = import_module("firstbell.casework.migrations.0002_letters")


class Migration(migrations.Migration):
    dependencies = [
        ("casework", "0009_a_second_word"),
    ]

    operations = [
        migrations.AddField(
            model_name="done",
            name="confirmed_as",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="done",
            name="recorded_as",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="done",
            name="signature",
            field=models.TextField(blank=True),
        ),
        migrations.RunPython(letters.backwards, letters.forwards),
        migrations.AlterField(
            model_name="letter",
            name="second_as",
            field=models.TextField(blank=True),
        ),
        migrations.AlterField(
            model_name="letter",
            name="signed_as",
            field=models.TextField(blank=True),
        ),
        migrations.RunPython(letters.forwards, letters.backwards),
    ]
