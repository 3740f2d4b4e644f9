import subprocess
from functools import cache
from importlib import metadata

from django.conf import settings


@cache
def code_version() -> str:
    """`git describe` of the running tree, or the installed package's version."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"],
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return described.stdout.strip()[:100]
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return metadata.version("preferendum")
    except metadata.PackageNotFoundError:
        return "unknown"
