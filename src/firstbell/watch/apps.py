from django.apps import AppConfig


class WatchConfig(AppConfig):
    name = "firstbell.watch"

    def ready(self) -> None:
        from firstbell.watch import drawing, learning, passes  # noqa: F401  # register their kinds of job
