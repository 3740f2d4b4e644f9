"""How quick the work pages are: `python -m tests.benchmarks.pages [--language zh-hans]`.

Starts a server of its own on a fresh folder, as an embedded installation runs it (uvicorn, SQLite,
collected static files), and works through some kinds of judgement in Chromium by keyboard. Per
kind it prints:

- submit to next: from the key press that sends a judgement to the first frame that shows the next
  task, median and 90th percentile, measured inside the page;
- keys per judgement, beyond the words of a text that is written;
- what the first visit of the page transfers over the network with an empty cache, compressed as
  it comes, in total and by type.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from config.processes import web_arguments

ROOT = Path(__file__).parents[2]
# A person looks before they judge; pages also refuse a choice that comes sooner.
LOOK_MS = 450
KEYS: dict[str, list[str]] = {
    "ranking": ["1", "2", "3", "4", "Enter"],
    "comparison": ["2", "Enter"],
    "thumbs": ["y"],
    # Each answer alone, then the order of the three.
    "rating": ["6", "Enter", "3", "Enter", "5", "Enter", "1", "3", "2", "Enter"],
    # Two statements that cite, then the whole.
    "evidence": ["y", "y", "y", "Enter"],
    "demonstration": ["Control+Enter"],
    "prompt_writing": ["Alt+3", "Control+Enter"],
}
# What is written before the keys; no two prompts may be alike.
WORDS = {
    "demonstration": "A fjord is a long narrow inlet, number {number}.",
    "prompt_writing": "Name the longest of {number} fjords.",
}
# From the last key that the person pressed to the frame after another task is on the page.
WATCH = """
let pressed = 0;
window.times = [];
addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
addEventListener('DOMContentLoaded', () => {
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(
    () => window.times.push(performance.now() - pressed))))
    .observe(document.querySelector('[data-work]'), {attributeFilter: ['data-task']});
});
"""


@dataclass(frozen=True, slots=True)
class Measured:
    kind: str
    times_ms: list[float]
    num_bytes: Counter[str]

    def line(self) -> str:
        median = statistics.median(self.times_ms)
        ninth = statistics.quantiles(self.times_ms, n=10)[-1]
        total = sum(self.num_bytes.values()) / 1000
        parts = ", ".join(f"{name} {size / 1000:.0f}" for name, size in self.num_bytes.items())
        return (
            f"| {self.kind} | {len(self.times_ms)} | {median:.0f} ms | {ninth:.0f} ms "
            f"| {len(KEYS[self.kind])} | {total:.0f} kB ({parts}) |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.pages", description=__doc__)
    parser.add_argument("--judgements", type=int, default=30, help="of each kind")
    parser.add_argument("--kinds", nargs="+", default=list(KEYS), choices=list(KEYS))
    parser.add_argument("--language", default="en", help="of the pages")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        environment = environment_make(Path(folder))
        session = _prepare(environment, options.kinds, options.judgements + 2)
        cookies = [session, {"name": "django_language", "value": options.language}]
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print("| Kind | n | Submit to next, median | 90 % | Keys | First visit |")
        print("| --- | --- | --- | --- | --- | --- |")
        with server_run(environment) as url:
            for kind in options.kinds:
                print(_measure(browser, url, cookies, kind, options.judgements).line(), flush=True)
        browser.close()


def environment_make(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.embedded",
        "PREFERENDUM_DATA_DIR": str(folder),
    }


def _prepare(environment: dict[str, str], kinds: list[str], num_tasks: int) -> dict[str, str]:
    for command in (["migrate", "-v0"], ["collectstatic", "--noinput", "-v0"]):
        manage(environment, *command)
    code = f"from tests.benchmarks.seed import seed; seed({kinds!r}, {num_tasks})"
    printed = manage(environment, "shell", "-v0", "-c", code)
    cookie: dict[str, str] = json.loads(printed.splitlines()[-1])
    return cookie


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


@contextmanager
def server_run(environment: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = web_arguments(host="127.0.0.1", port=port)
    process = subprocess.Popen(arguments, cwd=ROOT, env=environment)
    try:
        _wait_for(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/login/", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"The server at {url} did not answer within a minute.")


def _measure(
    browser: Browser, url: str, cookies: list[dict[str, str]], kind: str, num_judgements: int
) -> Measured:
    context = browser.new_context(base_url=url)
    context.add_cookies([{**cookie, "url": url} for cookie in cookies])  # type: ignore[typeddict-item]
    context.add_init_script(WATCH)
    page = context.new_page()
    num_bytes = _first_visit(context, page, kind)
    for number in range(num_judgements):
        page.wait_for_timeout(LOOK_MS)
        page.keyboard.type(WORDS.get(kind, "").format(number=number))
        before = page.evaluate("window.times.length")
        for key in KEYS[kind]:
            page.keyboard.press(key)
        while page.evaluate("window.times.length") == before:
            page.wait_for_timeout(20)
    times = page.evaluate("window.times")
    context.close()
    # The first of all came with the page and was not sent for.
    return Measured(kind, times[-num_judgements:], num_bytes)


def _first_visit(context: BrowserContext, page: Page, kind: str) -> Counter[str]:
    types: dict[str, str] = {}
    num_bytes: Counter[str] = Counter()
    network = context.new_cdp_session(page)
    network.send("Network.enable")

    def answered(event: dict[str, Any]) -> None:
        types[event["requestId"]] = event["type"].lower()

    def finished(event: dict[str, Any]) -> None:
        num_bytes[types.get(event["requestId"], "other")] += int(event["encodedDataLength"])

    network.on("Network.responseReceived", answered)
    network.on("Network.loadingFinished", finished)
    page.goto(f"/projects/bench/work/{kind}/")
    page.wait_for_load_state("networkidle")
    network.detach()
    return num_bytes


if __name__ == "__main__":
    main()
