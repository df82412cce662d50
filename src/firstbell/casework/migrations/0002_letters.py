"""Letters, and what somebody wrote beside them. The database refuses to change or remove a letter that was signed.

SQLite forgets triggers when Django makes a table anew: a later migration that changes casework_letter has to put these back.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FROZEN = (
    "student_id", "firing_id", "kind", "language", "marks", "count", "body", "drafted_by_id", "drafted_at", "correction_of_id",
    "text", "annex", "evidence", "sha256", "signed_by_id", "signed_as", "signed_at",
)  # fmt: skip
_CHANGED = " OR ".join(f"NEW.{c} IS {{differs}} OLD.{c}" for c in FROZEN) + " OR NEW.state = 'draft'"
SQLITE = [
    f"CREATE TRIGGER letter_frozen BEFORE UPDATE ON casework_letter WHEN OLD.signed_at IS NOT NULL AND ({_CHANGED.format(differs='NOT')}) "
    "BEGIN SELECT RAISE(ABORT, 'a signed letter does not change'); END",
    "CREATE TRIGGER letter_kept BEFORE DELETE ON casework_letter WHEN OLD.signed_at IS NOT NULL "
    "BEGIN SELECT RAISE(ABORT, 'a signed letter is kept'); END",
]
POSTGRESQL = [
    "CREATE FUNCTION letter_frozen() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'a signed letter does not change, and is kept'; END $$",
    "CREATE TRIGGER letter_frozen BEFORE UPDATE ON casework_letter FOR EACH ROW "
    f"WHEN (OLD.signed_at IS NOT NULL AND ({_CHANGED.format(differs='DISTINCT FROM')})) EXECUTE FUNCTION letter_frozen()",
    "CREATE TRIGGER letter_kept BEFORE DELETE ON casework_letter FOR EACH ROW "
    "WHEN (OLD.signed_at IS NOT NULL) EXECUTE FUNCTION letter_frozen()",
]
UNDO_SQLITE = ["DROP TRIGGER letter_frozen", "DROP TRIGGER letter_kept"]
UNDO_POSTGRESQL = [
    "DROP TRIGGER letter_frozen ON casework_letter",
    "DROP TRIGGER letter_kept ON casework_letter",
    "DROP FUNCTION letter_frozen()",
]


def _run(schema_editor, sqlite, postgresql):
    for statement in sqlite if schema_editor.connection.vendor == "sqlite" else postgresql:
        schema_editor.execute(statement)


def forwards(apps, schema_editor):
    _run(schema_editor, SQLITE, POSTGRESQL)


def backwards(apps, schema_editor):
    _run(schema_editor, UNDO_SQLITE, UNDO_POSTGRESQL)


class Migration(migrations.Migration):
    dependencies = [
        ("casework", "0001_initial"),
        ("register", "0002_folds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Letter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("notify", "Letter about days missed"),
                            ("contact", "Letter to get in touch"),
                            ("conference", "Invitation to meet"),
                            ("plan", "Letter about a plan"),
                            ("refer_support", "Letter that offers help"),
                            ("legal_step", "Letter about a legal step"),
                            ("correction", "Apology for a letter that no longer holds"),
                        ],
                        max_length=20,
                    ),
                ),
                ("language", models.CharField(max_length=10)),
                ("marks", models.TextField(blank=True)),
                ("count", models.CharField(max_length=20)),
                ("body", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("awaiting", "waits for a second signature"),
                            ("signed", "signed"),
                            ("withdrawn", "withdrawn"),
                        ],
                        default="draft",
                        max_length=10,
                    ),
                ),
                ("version", models.PositiveIntegerField(default=0)),
                ("drafted_at", models.DateTimeField()),
                ("text", models.TextField(blank=True)),
                ("annex", models.TextField(blank=True)),
                ("evidence", models.TextField(blank=True)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("signed_as", models.CharField(blank=True, max_length=20)),
                ("signed_at", models.DateTimeField(null=True)),
                ("second_as", models.CharField(blank=True, max_length=20)),
                ("second_at", models.DateTimeField(null=True)),
                ("withdrawn_at", models.DateTimeField(null=True)),
                ("withdrawn_why", models.TextField(blank=True)),
                (
                    "correction_of",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="casework.letter",
                    ),
                ),
                (
                    "done",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="letters",
                        to="casework.done",
                    ),
                ),
                (
                    "drafted_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "firing",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="letters", to="casework.firing"
                    ),
                ),
                (
                    "second_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "signed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "student",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="letters",
                        to="register.student",
                    ),
                ),
                (
                    "withdrawn_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LetterWord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "about",
                    models.CharField(
                        choices=[("contents", "asked for by the rule"), ("warning", "why a warning does not stop it")],
                        max_length=10,
                    ),
                ),
                ("key", models.CharField(max_length=60)),
                ("words", models.TextField()),
                ("said_at", models.DateTimeField()),
                (
                    "letter",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="words", to="casework.letter"
                    ),
                ),
                (
                    "said_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="letter",
            index=models.Index(fields=["student", "drafted_at"], name="letter_student"),
        ),
        migrations.AddConstraint(
            model_name="letter",
            constraint=models.UniqueConstraint(
                condition=models.Q(("correction_of", None), ("state", "draft")),
                fields=("firing", "kind"),
                name="one_draft_a_line",
            ),
        ),
        migrations.AddConstraint(
            model_name="letter",
            constraint=models.UniqueConstraint(
                condition=models.Q(models.Q(("state", "withdrawn"), _negated=True), ("correction_of__isnull", False)),
                fields=("correction_of",),
                name="one_apology_a_letter",
            ),
        ),
        migrations.AddConstraint(
            model_name="letterword",
            constraint=models.UniqueConstraint(fields=("letter", "about", "key"), name="one_word_a_key"),
        ),
        migrations.RunPython(forwards, backwards),
    ]
