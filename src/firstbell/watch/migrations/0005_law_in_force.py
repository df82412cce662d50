from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("watch", "0004_audit_sample")]

    operations = [
        migrations.CreateModel(
            name="LawInForce",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pack", models.CharField(max_length=60)),
                ("overlay", models.TextField(blank=True)),
                ("first", models.DateField(unique=True)),
                ("last", models.DateField(null=True)),
            ],
        ),
    ]
