"""The Celery application. Rows hold the truth about work; a message only rings the bell."""

import os

from celery import Celery

from config.broker import register_transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.embedded")

register_transport()

app = Celery("preferendum")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
