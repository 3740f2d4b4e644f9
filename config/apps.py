from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Holds the commands that run the whole installation, such as `manage.py up`."""

    name = "config"
