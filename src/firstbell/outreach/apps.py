from django.apps import AppConfig


class OutreachConfig(AppConfig):
    name = "firstbell.outreach"

    def ready(self) -> None:
        from firstbell.outreach import mail  # noqa: F401  # registers its kinds of job
