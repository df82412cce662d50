from django.apps import AppConfig


class CaseworkConfig(AppConfig):
    name = "firstbell.casework"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from firstbell.casework import nightly  # noqa: F401  # registers its kind of job
