from django.apps import AppConfig


class IntakeConfig(AppConfig):
    name = "firstbell.intake"

    def ready(self) -> None:
        from firstbell.intake import work  # noqa: F401  # registers its kinds of job
