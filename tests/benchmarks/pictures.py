"""The pictures in docs/images/pages/: `python -m tests.benchmarks.pictures [NAME ...]`.

Starts a server of its own on a fresh folder with one task of each kind, works a little in each
page by keyboard, and writes a JPEG of it: on a desk, and of the work pages on a phone, too.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.pages import ROOT, environment_make, manage, server_run

FOLDER = ROOT / "docs" / "images" / "pages"
DESK, PHONE = (1280, 860), (390, 844)
QUALITY = 72


@dataclass(frozen=True, slots=True)
class Picture:
    name: str
    path: str
    keys: tuple[str, ...] = ()
    user: str = "mei"
    scheme: str = "light"
    language: str = "en"
    on_phone: bool = False
    project: str = "garden"


def work(kind: str, *keys: str) -> Picture:
    return Picture(kind, f"work/{kind}/", keys, on_phone=True)


PICTURES = (
    work("ranking", "c", "a", "d"),
    work("comparison", "2"),
    work("rating", "6"),
    work("thumbs"),
    work("demonstration"),
    work("prompt_writing"),
    work("evidence", "y", "j"),
    work("dialogue"),
    work("conversation"),
    work("red_team"),
    work("rule_probe"),
    Picture("dark", "work/comparison/", ("7",), scheme="dark"),
    Picture("chinese", "work/ranking/", ("b",), language="zh-hans"),
    Picture("differences", "work/comparison/", ("v",)),
    Picture("guidelines-open", "work/ranking/", ("g",)),
    Picture("keys", "work/ranking/", ("?",)),
    Picture("my-labels", "my-labels/", project="taught"),
    Picture("work", "/"),
    Picture("dashboard", "", user="alice"),
    Picture("round", "rounds/2/", user="alice"),
    Picture("answers", "answers/", user="alice"),
    Picture("prompts", "prompts/", user="alice"),
    Picture("members", "members/", user="alice"),
    Picture("reports", "reports/", user="alice"),
    Picture("settings", "settings/", user="alice"),
    Picture("briefs", "briefs/", user="alice"),
    Picture("guidelines", "guidelines/", user="alice"),
    Picture("flags", "flags/", user="alice"),
)


def main(names: Sequence[str]) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        environment = environment_make(Path(folder))
        for command in (["migrate", "-v0"], ["collectstatic", "--noinput", "-v0"]):
            manage(environment, *command)
        code = "from tests.benchmarks.pictured import world_make; world_make()"
        cookies = json.loads(manage(environment, "shell", "-v0", "-c", code).splitlines()[-1])
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with server_run(environment) as url:
            for picture in PICTURES:
                if not names or picture.name in names:
                    take(browser, url, cookies[picture.user], picture, DESK, "")
                    if picture.on_phone:
                        take(browser, url, cookies[picture.user], picture, PHONE, "-phone")
        browser.close()


def take(
    browser: Browser,
    url: str,
    cookie: dict[str, str],
    picture: Picture,
    size: tuple[int, int],
    ending: str,
) -> None:
    language = {"name": "django_language", "value": picture.language}
    jar: list[Any] = [{**item, "url": url} for item in (cookie, language)]
    context = browser.new_context(
        base_url=url,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.add_cookies(jar)
    page = context.new_page()
    inside = f"/projects/{picture.project}/{picture.path}"
    page.goto(picture.path if picture.path.startswith("/") else inside)
    page.wait_for_load_state("networkidle")
    for key in picture.keys:
        page.keyboard.press(key)
    page.wait_for_timeout(400)
    target = FOLDER / f"{picture.name}{ending}.jpg"
    page.screenshot(path=target, type="jpeg", quality=QUALITY)
    context.close()
    print(target.relative_to(ROOT), f"{target.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
