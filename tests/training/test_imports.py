import subprocess
import sys

PROGRAM = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.test"
import django
django.setup()
import config.urls, config.celery, config.asgi
from config.celery import app
app.loader.import_default_modules()
from django.urls import get_resolver
get_resolver().url_patterns
import importlib, pkgutil, training, annotation, frontend
for package in (training, annotation, frontend):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith(("training.algorithms", "training.benchmarks")):
            importlib.import_module(module.name)
assert {"training.tasks.tick", "training.tasks.run_execute", "training.tasks.round_advance"} <= set(
    app.tasks
)
from training.algorithms.methods import method_list
assert method_list("policy")
heavy = sorted({"torch", "transformers", "tokenizers", "numpy"} & set(sys.modules))
assert not heavy, heavy
"""


def test_web_and_workers_never_load_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
