"""Prompts and answers are hostile text: nothing runs, nothing breaks out, nothing gets slow."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings

from annotation.choices import BriefKind
from annotation.judgements import kind_list
from annotation.models import Brief, Completion, Project, Prompt, Task
from annotation.services.projects import project_update
from annotation.services.tasks import task_create
from tests.factories import completion_make, prompt_make, ranking_task_make
from tests.frontend.conftest import OpenPage, violations
from tests.frontend.talks import agreed, answer, model_ready, url
from tests.replies import answer_waiting, replies_of

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

RANK = "/projects/project/work/ranking/"
TALKS = ("conversation", "dialogue", "red_team", "rule_probe")
PHONE = 390

SCRIPTS = """
<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>
<svg onload=window.hacked=1><style>body{display:none}</style>
[click](javascript:window.hacked=1) [click](JaVaScRiPt:alert(1)) [click](data:text/html,<script>)
[click](vbscript:x) <javascript:alert(1)> [a]: javascript:alert(1)
![x](javascript:alert(1)) ![pixel](https://tracker.example/pixel.png "title")
[ok](https://example.org/?a=1&b=2 'x" onmouseover="window.hacked=1')
```<script>
window.hacked=1
```
</div></article></main></body><dialog open>Log in again</dialog>
"""
BOMBS = r"""
$\def\a{\a\a}\a$ and $$\def\x{\x\x\x}\x$$ and \(\newcommand{\z}{\z\z}\z\)
$\href{javascript:alert(1)}{x}$ $\url{javascript:alert(1)}$ $\htmlId{work}{x}$
$\includegraphics{https://tracker.example/x.png}$ $\style{position:fixed}{x}$
$$\rule{99999em}{99999em}$$ $$\kern-99999em x$$ $\color{url(https://tracker.example)}x$
$\text{<img src=x onerror=window.hacked=1>}$ $\unicode{x}$ $$\begin{matrix}1&2\\3$$
"""
LONG = "x" * 30_000
MARKS = "*_[](`$\\>#|~<" * 2_300
ZALGO = "Z" + "\u0300\u0301\u0302\u0303\u0310\u0336\u033f" * 200 + "algo"
RTL = "\u202eevil \u2066\u2067\u202d kept inside \u200f שלום مرحبا"
EMOJI = "👨‍👩‍👧‍👦" * 500 + "🏳️‍🌈\ufffd\u2028\u200b"
TEXTS = {
    "scripts": SCRIPTS,
    "bombs": BOMBS,
    "long": LONG,
    "marks": MARKS,
    "zalgo": ZALGO,
    "rtl": RTL,
    "emoji": EMOJI,
    "quotes": ">" * 3_000 + " deep\n" + "- " * 3_000,
    "openers": "\\[\n" * 10_000,
    "table": "|a" * 100 + "\n" + "|-" * 100 + "\n" + "|\n" * 14_000,
}

Hostile = Callable[[str], Task]


@pytest.fixture
def hostile(project: Project) -> Hostile:
    def make(text: str) -> Task:
        task = ranking_task_make(project)
        Prompt.objects.update(messages=[{"role": "user", "content": text}])
        Completion.objects.update(text=text)
        return task

    return make


def watched(page: Page) -> list[str]:
    """Opens the page again; whatever leaves for another place, or asks something, is noted."""
    seen: list[str] = []
    home = page.url.split("/projects/")[0]
    page.on("dialog", lambda dialog: seen.append(dialog.message))
    page.on("request", lambda request: note(seen, request.url, home))
    page.reload()
    page.wait_for_load_state("networkidle")
    return seen


def note(seen: list[str], url: str, home: str) -> None:
    if not url.startswith((home, "data:")):
        seen.append(url)


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_runs_nothing_and_stays_in_its_box(
    name: str, open_page: OpenPage, bob: User, hostile: Hostile
) -> None:
    hostile(TEXTS[name])
    page = open_page(bob, RANK, width=PHONE, height=844)
    assert watched(page) == []
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.locator(".card").count() == 3
    assert page.locator("main dialog[open], main style, main script:not([id])").count() == 0
    for link in page.locator(".rich a").all():
        assert (link.get_attribute("href") or "").startswith(("https://", "http://", "mailto:"))
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert page.locator(".rich :is(img, svg, iframe, object, form, input)").count() == 0
    page.keyboard.press("v")
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    page.keyboard.press("r")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert (page.locator(".card .rich").first.text_content() or "").strip() == TEXTS[name].strip()


@pytest.mark.parametrize("kind", [kind.name for kind in kind_list() if kind.name != "ranking"])
def test_a_hostile_text_stays_in_its_box_in_every_kind_of_work(
    kind: str,
    open_page: OpenPage,
    bob: User,
    project: Project,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = SCRIPTS + BOMBS + RTL + LONG
    model_ready(settings, tmp_path, monkeypatch)
    hostile_work_make(project, bob, kind, text)
    page = open_page(bob, url(kind), width=PHONE, height=844)
    if kind in TALKS:
        page.locator("#message").fill(text)
        page.locator("[data-compose] [data-send]").click()
        if kind == "dialogue":
            page.locator("[data-suggest]").click()
            phase_open = page.locator("[data-talk][data-phase=open]")
            expect(phase_open.get_by_role("progressbar")).to_be_visible()
            assert answer_waiting(replies_of(text)) == 1
            expect(page.locator("#answer")).to_have_value(text)
        else:
            answer(page)
            page.locator("[data-reply]").first.wait_for()
    assert watched(page) == []
    assert page.locator(".rich").first.inner_text().strip()
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert page.locator(".rich :is(img, svg, iframe, object, form, input)").count() == 0
    assert page.locator("main style, main script:not([id])").count() == 0


def hostile_work_make(project: Project, labeler: User, kind: str, text: str) -> None:
    """One task of the kind, in which whatever strangers write is that text."""
    Brief.objects.bulk_create(
        Brief(project=project, kind=brief, name=text[:40], text=text) for brief in BriefKind.values
    )
    wanted = {"targets": {kind: 1}} if kind in TALKS or kind == "prompt_writing" else {}
    project_update(
        actor=None, project=project, kinds=[kind], guidelines=SCRIPTS + LONG[:10_000], **wanted
    )
    if kind == "red_team":
        agreed(project, labeler)
    if wanted:
        return
    prompt = prompt_make(project, text)
    prompt.sources = [{"title": text[:200], "text": text[:20_000], "url": ""}]
    prompt.save()
    num_answers = {"demonstration": 0, "thumbs": 1, "evidence": 1, "comparison": 2}.get(kind, 3)
    answers = [completion_make(prompt, f"{text} [1].") for _ in range(num_answers)]
    task_create(project=project, kind=kind, prompt=prompt, completions=answers)


@pytest.mark.parametrize("name", ["openers", "table"])
def test_a_text_that_would_freeze_the_page_is_shown_as_it_is(
    name: str, open_page: OpenPage, bob: User, hostile: Hostile
) -> None:
    hostile(TEXTS[name])
    page = open_page(bob, RANK)
    page.wait_for_load_state("networkidle")
    expect(page.locator(".card .rich[data-view=plain]")).to_have_count(3)
    assert page.locator(".card .rich *").count() == 0


def test_names_of_characters_are_the_characters(
    open_page: OpenPage, bob: User, hostile: Hostile
) -> None:
    hostile("*a* &eacute;&semi;&Tab;&NotEqualTilde;&#955; &notit; &nothing; &amp;lt; `&eacute;`")
    page = open_page(bob, RANK)
    answer = page.locator(".card .rich p").first
    expect(answer).to_have_text("a é;\t≂̸λ &notit; &nothing; &lt; &eacute;", use_inner_text=False)


def test_nothing_of_a_text_is_painted_outside_its_box(
    open_page: OpenPage, bob: User, hostile: Hostile
) -> None:
    hostile(ZALGO)
    page = open_page(bob, RANK)
    box = page.locator(".card .rich").first
    expect(box).to_have_css("overflow-y", "hidden")
    expect(box).to_have_css("overflow-x", "auto")


def test_thirty_thousand_characters_are_drawn_to_the_last_one(
    open_page: OpenPage, bob: User, hostile: Hostile
) -> None:
    paragraph = "Some *words* with `code`, [a link](https://example.org) and more of it.\n\n"
    text = (paragraph * 450)[:29_990] + "**the end**"
    hostile(text)
    page = open_page(bob, RANK)
    drawn = page.locator(".card .rich[data-view=drawn]")
    expect(drawn).to_have_count(3)
    expect(drawn.first.locator("a")).to_have_count(text.count("](https://example.org)"))
    expect(drawn.first.locator("strong")).to_have_text("the end")


GOOD = r"""
# A title

Some **bold** text, `code` and a list:

1. one
2. two

| a | b |
|---|--:|
| 1 | 2 |

```python
print("a line that is far too long for any phone to show without scrolling it sideways")
```

The area is $\pi r^2$, and \[ \int_0^1 x^2\,dx = \frac{1}{3} \]

It costs $5 or $10. See https://example.org/page.
"""


@pytest.fixture
def good(open_page: OpenPage, bob: User, hostile: Hostile) -> Page:
    hostile(GOOD)
    page = open_page(bob, RANK)
    expect(page.locator(".card .rich math")).to_have_count(6)
    return page


def test_markdown_code_and_formulas_are_drawn(good: Page) -> None:
    answer = good.locator(".card .rich").first
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator("ol > li")).to_have_text(["one", "two"])
    expect(answer.locator("td")).to_have_text(["1", "2"])
    expect(answer.locator("pre")).to_contain_text('print("a line')
    expect(answer.locator("math").first).to_contain_text("π")
    expect(answer.locator("math mfrac")).to_have_count(1)
    expect(answer).to_contain_text("It costs $5 or $10.")
    expect(answer.locator("a")).to_have_attribute("target", "_blank")
    assert violations(good) == []


def test_the_raw_view_is_one_key_away_and_remembered(good: Page) -> None:
    answer = good.locator(".card .rich").first
    good.keyboard.press("r")
    expect(answer).to_have_text(GOOD.strip(), use_inner_text=False)
    expect(good.locator("math")).to_have_count(0)
    good.reload()
    expect(answer).to_contain_text("**bold**")
    good.keyboard.press("r")
    expect(answer.locator("strong")).to_have_text("bold")
