"""The audit refuses UPDATE and DELETE in the database itself; the throttles' cache table."""

from django.core.management import call_command
from django.db import migrations

SQLITE = [
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON access_auditentry "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON access_auditentry "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END",
]
POSTGRESQL = [
    "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON access_auditentry "
    "FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON access_auditentry "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()",
]
UNDO_SQLITE = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
UNDO_POSTGRESQL = [
    "DROP TRIGGER audit_no_change ON access_auditentry",
    "DROP TRIGGER audit_no_truncate ON access_auditentry",
    "DROP FUNCTION audit_append_only()",
]


def _run(schema_editor, sqlite, postgresql):
    for statement in sqlite if schema_editor.connection.vendor == "sqlite" else postgresql:
        schema_editor.execute(statement)


def forwards(apps, schema_editor):
    _run(schema_editor, SQLITE, POSTGRESQL)
    call_command("createcachetable", database=schema_editor.connection.alias)


def backwards(apps, schema_editor):
    _run(schema_editor, UNDO_SQLITE, UNDO_POSTGRESQL)
    schema_editor.execute("DROP TABLE cache")


class Migration(migrations.Migration):
    dependencies = [("access", "0002_initial")]
    operations = [migrations.RunPython(forwards, backwards)]
