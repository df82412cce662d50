from django.apps import AppConfig


class InsightConfig(AppConfig):
    name = "firstbell.insight"
