"""The processes of an installation: one web server, one worker per queue, one scheduler."""

import os
import sys

from config.supervisor import ProcessSpec

WORKER_QUEUES = ("default", "sample", "train", "replies")


def web_arguments(*, host: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "config.asgi:application"),
        *("--host", host, "--port", str(port), "--log-level", "warning", "--lifespan", "off"),
    ]


def worker_arguments(queue: str) -> list[str]:
    return [
        *(sys.executable, "-m", "celery", "-A", "config", "worker"),
        *("--queues", queue, "--concurrency", "1", "--hostname", f"{queue}@%h"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"),
    ]


def scheduler_arguments() -> list[str]:
    return [*(sys.executable, "-m", "celery", "-A", "config", "beat"), *("--loglevel", "WARNING")]


def process_specs(*, host: str, port: int) -> list[ProcessSpec]:
    return [
        ProcessSpec("web", web_arguments(host=host, port=port)),
        *(ProcessSpec(f"worker-{queue}", worker_arguments(queue)) for queue in WORKER_QUEUES),
        ProcessSpec("scheduler", scheduler_arguments()),
    ]


def process_environment() -> dict[str, str]:
    """Workers stop at once on SIGTERM: a run resumes from its saved state, so nothing is lost."""
    return {**os.environ, "REMAP_SIGTERM": "SIGQUIT", "HF_HUB_DISABLE_TELEMETRY": "1"}
