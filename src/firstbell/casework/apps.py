from django.apps import AppConfig


class CaseworkConfig(AppConfig):
    name = "firstbell.casework"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from firstbell.casework import done, live, nightly, replaying  # noqa: F401  # say what was done, and register kinds of job
        from firstbell.casework.letters import sending  # noqa: F401  # as well
