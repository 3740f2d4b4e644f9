"""The pictures in docs/images/pages/: `python -m tests.benchmarks.pictures [NAME ...]`.

Starts a server of its own on a fresh folder with one task of each kind, works a little in each
page by keyboard, and writes a JPEG of it: on a desk, and of the work pages on a phone, too. The
picture in Chinese needs a machine with such a font.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.benchmarks.pages import ROOT, environment_make, manage, server_run

FOLDER = ROOT / "docs" / "images" / "pages"
DESK, PHONE = (1280, 860), (390, 844)
QUALITY = 68


class Typed(str):
    """Words that are typed, not the name of a key."""


@dataclass(frozen=True, slots=True)
class Picture:
    """`path` may name ids of the world in braces; an empty `user` is nobody.

    `shows`: what is scrolled into the window, if it is not there yet. `only`: the part of the page
    that is photographed, by default what the window shows.
    """

    name: str
    path: str
    keys: tuple[str, ...] = ()
    user: str = "mei"
    scheme: str = "light"
    language: str = "en"
    on_phone: bool = False
    project: str = "garden"
    shows: str = ""
    only: str = ""
    height: int = DESK[1]


def work(kind: str, *keys: str, shows: str = "") -> Picture:
    return Picture(kind, f"work/{kind}/", keys, on_phone=True, shows=shows)


PICTURES = (
    work("ranking", "c", "a", "d"),
    work("comparison", "2"),
    work("rating", "6"),
    work("thumbs"),
    work(
        "demonstration",
        *("Alt+d", "Control+Home", *["Control+Shift+ArrowRight"] * 8, "Delete", "Control+End"),
        *(Typed(" Wash it as usual."), "Alt+v"),
        shows="[data-panel=changes]",
    ),
    work("prompt_writing"),
    work("evidence", "y", "j"),
    work(
        "dialogue",
        *("Control+End", Typed(" A thermometer in the middle says 95 °C."), "Alt+v"),
        shows="[data-answer-box] [data-send]",
    ),
    work("conversation"),
    work("red_team"),
    work("rule_probe"),
    Picture("dark", "work/comparison/", ("7",), scheme="dark"),
    Picture("chinese", "work/ranking/", ("b",), language="zh-hans"),
    Picture("differences", "work/comparison/", ("v",)),
    Picture("guidelines-open", "work/ranking/", ("g",)),
    Picture("keys", "work/ranking/", ("?",)),
    Picture("consent", "work/red_team/", user="noor"),
    Picture("my_labels", "my-labels/", project="taught", height=1330),
    Picture("work", "/"),
    # Without the switch of languages, whose names not every machine can draw.
    Picture("login", "/login/", user="", only="main"),
    Picture("account", "/account/"),
    Picture("password", "/account/password/"),
    Picture("api_docs", "/api/v1/docs/"),
    Picture("dashboard", "", user="alice", project="taught"),
    Picture("round", "rounds/2/", user="alice"),
    Picture("answers", "answers/", user="alice"),
    Picture("checkpoints", "checkpoints/", user="alice", project="taught"),
    Picture("run", "runs/{run}/", user="alice", project="taught"),
    Picture(
        "ai_feedback",
        "ai-feedback/",
        user="alice",
        project="taught",
        shows=".revision",
        height=1000,
    ),
    Picture("completion_lineage", "completions/{sampled}/lineage/", user="alice", project="taught"),
    Picture("member_lineage", "members/{labeler}/lineage/", user="alice", project="taught"),
    Picture("member_forget", "members/{labeler}/forget/", user="alice", project="taught"),
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
        world = json.loads(manage(environment, "shell", "-v0", "-c", code).splitlines()[-1])
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with server_run(environment) as url:
            for picture in PICTURES:
                if not names or picture.name in names:
                    take(browser, url, world, picture)
        browser.close()


def take(browser: Browser, url: str, world: dict[str, Any], picture: Picture) -> None:
    language = {"name": "django_language", "value": picture.language}
    session = [world["cookies"][picture.user]] if picture.user else []
    jar: list[Any] = [{**item, "url": url} for item in (*session, language)]
    context = browser.new_context(
        base_url=url,
        viewport={"width": DESK[0], "height": picture.height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.add_cookies(jar)
    page = context.new_page()
    path = picture.path.format(**world["ids"])
    answer = page.goto(path if path.startswith("/") else f"/projects/{picture.project}/{path}")
    if answer is None or answer.status != 200:
        raise RuntimeError(f"{page.url} is no page to take a picture of.")
    page.wait_for_load_state("networkidle")
    for key in picture.keys:
        if isinstance(key, Typed):
            page.keyboard.type(key)
        else:
            page.keyboard.press(key)
    photograph(page, picture, "")
    if picture.on_phone:
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        photograph(page, picture, "-phone")
    context.close()


def photograph(page: Page, picture: Picture, ending: str) -> None:
    if picture.shows:
        page.locator(picture.shows).evaluate("item => item.scrollIntoView({block: 'nearest'})")
    page.wait_for_timeout(400)
    target = FOLDER / f"{picture.name}{ending}.jpg"
    taken = page.locator(picture.only) if picture.only else page
    taken.screenshot(path=target, type="jpeg", quality=QUALITY)
    print(target.relative_to(ROOT), f"{target.stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
