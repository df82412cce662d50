from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "firstbell.access"

    def ready(self) -> None:
        from firstbell.access import checks  # noqa: F401  (registers the system checks)
