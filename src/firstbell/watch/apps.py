from django.apps import AppConfig


class WatchConfig(AppConfig):
    name = "firstbell.watch"

    def ready(self) -> None:
        from firstbell.watch import passes  # noqa: F401  # registers its kinds of job
