"""Every page of the site under axe-core: light and dark, on a desk and on a phone, in Chinese, too.

The URL configuration lists the pages: one that is not visited here fails the first test.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

import frontend
from annotation.judgements import kind_list
from annotation.judgements.base import Supply
from annotation.models import Completion, Project, Prompt
from annotation.services.consents import consent_give
from annotation.services.projects import project_update
from annotation.services.reports import report_create
from annotation.services.tokens import token_create
from config.urls import urlpatterns as site_patterns
from frontend.catalogs import catalogs_compile
from frontend.urls import urlpatterns as own_patterns
from tests.factories import (
    ai_labeler_make,
    ai_revision_make,
    answers_task_make,
    brief_make,
    claim_make,
    demonstration_task_make,
    exchange_make,
    principle_make,
    prompt_make,
    ranking_task_make,
    talk_begin,
    thumbs_task_make,
)
from tests.frontend.conftest import STILL, OpenPage
from tests.frontend.loop_rows import LoopRows, decided_round_make, loop_rows_make

# Alice holds the only one, so Bob waits.
IDLE = "/projects/project/work/ranking/"
DESK, PHONE = (1280, 800), (390, 844)
COLORS = {"type": "rule", "values": ["color-contrast"]}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Parts of other pages, data, and what only takes a POST.
NO_PAGES = {
    *(
        "logout",
        "language",
        "catalog",
        "theme",
        "token-revoke",
        "api-schema",
        "consent-accept",
        "consent-end",
    ),
    *("project-live", "rollback", "round-start", "round-live", "round-act", "run-live"),
    *("run-curves", "run-act", "principle-add", "principle-change", "ai-labeler-add"),
    *("ai-labeler-change", "ai-labeler-ask", "revision-decide", "brief-add", "brief-change"),
    *("brief-switch", "report-resolve", "member-remove", "member-readmit", "preset"),
}
OWN = {
    "work": "/",
    "account": "/account/",
    "password": "/account/password/",
    "api-docs": "/api/v1/docs/",
}
# What tells that a page is the one that was meant.
ANY, JUDGING, IDLE_WORK = "main", "[data-state=judging]", "[data-state=idle]"
WARNING = "form[action$='/agree/']"
OF_PROJECT = {
    "project": "",
    "checkpoints": "checkpoints/",
    "answers": "answers/",
    "prompts": "prompts/",
    "ai-feedback": "ai-feedback/",
    "briefs": "briefs/",
    "guidelines": "guidelines/",
    "flags": "flags/",
    "reports": "reports/",
    "members": "members/",
    "my-labels": "my-labels/",
    "project-settings": "settings/",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A page as somebody sees it: a wrong address or a task that is missing are no such page."""

    user: User | None
    path: str
    shows: str = ANY
    status: int = 200


Look = Callable[[Visit], Page]


@dataclass(frozen=True, slots=True)
class Site:
    """Where each named page is found, some of them more than once."""

    admin: User
    labeler: User
    paths: dict[str, list[str]]

    @property
    def visits(self) -> list[Visit]:
        """Each page as an admin; then what only others are shown."""
        return [
            *(visit for name in self.paths if name != "login" for visit in self.admins(name)),
            Visit(None, "/login/"),
            Visit(self.labeler, "/projects/project/work/red_team/", WARNING),
            Visit(self.labeler, IDLE, IDLE_WORK),
            Visit(self.labeler, "/projects/project/settings/", status=403),
            Visit(self.labeler, "/nowhere/", status=404),
        ]

    @property
    def labelers_visits(self) -> list[Visit]:
        names = (*OWN, "judge", "my-labels")
        return [
            Visit(None, "/login/"),
            *(visit for name in names for visit in self.admins(name)),
            Visit(self.labeler, IDLE, IDLE_WORK),
        ]

    def admins(self, name: str) -> list[Visit]:
        shows = JUDGING if name == "judge" else ANY
        return [Visit(self.admin, path, shows) for path in self.paths[name]]


@pytest.fixture
def site(project: Project, alice: User, bob: User) -> Site:
    """A project where every kind has work for Alice and every page has something to show."""
    rows = loop_rows_make(project, bob)
    decided = decided_round_make(rows, "promoted", alice)
    kinds_make(project, alice)
    words_make(project, alice)
    named = {name: [f"/projects/project/{page}"] for name, page in OF_PROJECT.items()}
    named |= {name: [path] for name, path in OWN.items()}
    named["login"] = ["/login/"]
    named["judge"] = [f"/projects/project/work/{kind.name}/" for kind in kind_list()]
    numbers = (1, decided.number)
    named["round"] = [f"/projects/project/rounds/{number}/" for number in numbers]
    runs = (rows.policy_run, rows.reward_run, rows.failed_run)
    named["run"] = [f"/projects/project/runs/{run.pk}/" for run in runs]
    named["reports"] += ["/projects/project/reports/?state=resolved"]
    for name, page in (("member-lineage", "lineage"), ("member-forget", "forget")):
        named[name] = [f"/projects/project/members/{bob.pk}/{page}/"]
    sampled = sample_of(rows)
    named["completion-lineage"] = [f"/projects/project/completions/{sampled.pk}/lineage/"]
    return Site(alice, bob, named)


def sample_of(rows: LoopRows) -> Completion:
    return Completion.objects.get(text=f"Held-out answer of {rows.policy.name}")


def kinds_make(project: Project, worker: User) -> None:
    """Open work of every kind, with texts that are hard to lay out."""
    for kind in ("rule", "goal", "topic", "use_case"):
        brief_make(project, kind, "word " * 60 + "x" * 200)
    names = [kind.name for kind in kind_list()]
    targets = {kind.name: 2 for kind in kind_list() if kind.supply is Supply.TARGET}
    project_update(actor=None, project=project, kinds=names, targets=targets)
    ranking_task_make(project, num_completions=4)
    demonstration_task_make(project)
    thumbs_task_make(project)
    answers_task_make(project, "comparison", num_completions=2)
    answers_task_make(project, "rating", num_completions=3)
    sourced = prompt_make(project)
    sources = [{"title": "Ferns", "text": "Ferns like shade. " * 40, "url": "https://fern.example"}]
    Prompt.objects.filter(pk=sourced.pk).update(sources=sources)
    answers_task_make(
        project, "evidence", num_completions=1, prompt=Prompt.objects.get(pk=sourced.pk)
    )
    hard = "**long** " * 60 + "x" * 300 + " `code` $x^2$\n\n```\n" + "y" * 200 + "\n```"
    Completion.objects.filter(tasks__isnull=False).update(text=hard)
    consent_give(project=project, user=worker, kind="red_team")


def words_make(project: Project, alice: User) -> None:
    """Guidelines, a report, a token, AI feedback: rows that pages list."""
    for text in ("Be kind. " * 30, "Be honest. " * 30):
        project_update(actor=alice, project=project, guidelines=text)
    token_create(user=alice, name="laptop", expires_at=None)
    held = claim_make(project, alice, "ranking")
    report_create(assignment_id=held.pk, reporter=alice, kind="problem", text="Cut off " * 20)
    principle_make(project)
    ai_revision_make(ai_labeler_make(project), prompt_make(project))


@pytest.fixture
def look(open_page: OpenPage) -> Look:
    """Opens a page in a window of each user's own, with axe-core ready."""
    axe = Path(frontend.__path__[0], "node_modules/axe-core/axe.min.js")
    pages: dict[User | None, Page] = {}

    def looked(visit: Visit) -> Page:
        if visit.user not in pages:
            pages[visit.user] = open_page(visit.user, "/login/", *DESK)
            pages[visit.user].add_init_script(path=axe)
        page = pages[visit.user]
        page.emulate_media(color_scheme="light")
        answer = page.goto(visit.path)
        assert answer is not None
        assert answer.status == visit.status, visit.path
        # A redirect, to the login for one, would be another page than the one that is meant.
        assert urlsplit(page.url).path == urlsplit(visit.path).path
        expect(page.locator(visit.shows), visit.path).to_have_count(1)
        return page

    return looked


def test_every_page_of_the_site_is_visited(db: None, site: Site) -> None:
    patterns = (*own_patterns, *site_patterns)
    names = {pattern.name for pattern in patterns if getattr(pattern, "name", None)}
    assert names - NO_PAGES == set(site.paths)


def found(page: Page, where: str, **options: object) -> list[str]:
    """What axe finds on the page as it is shown now, and whether it is wider than the window."""
    page.evaluate(STILL)
    result = page.evaluate(
        "(options) => axe.run(document, {resultTypes: ['violations'], ...options})", options
    )
    wrong = [
        f"{where}: {item['id']}: {[node['html'][:160] for node in item['nodes'][:3]]} "
        f"{item['nodes'][0]['failureSummary']}"
        for item in result["violations"]
    ]
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [*wrong, *([f"{where}: {width} px wide in {room}"] if width > room else [])]


def looked_at(page: Page, path: str) -> Iterator[str]:
    """Everything once; in the dark the colors alone, which are all that changes."""
    for width, height in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": height})
        yield from found(page, f"{path} at {width}", runOnly=TAGS)
    page.emulate_media(color_scheme="dark")
    yield from found(page, f"{path} in the dark", runOnly=COLORS)


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.django_db(transaction=True)
def test_no_page_has_a_violation(look: Look, site: Site) -> None:
    wrong = []
    for visit in site.visits:
        wrong += looked_at(look(visit), visit.path)
    assert wrong == [], "\n".join(wrong)


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True)
def test_no_labelers_page_has_a_violation_in_chinese_on_a_phone(look: Look, site: Site) -> None:
    catalogs_compile()
    wrong = []
    for visit in site.labelers_visits:
        page = look(visit)
        page.context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": page.url}])
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        page = look(visit)
        assert page.locator("html").get_attribute("lang") == "zh-hans"
        wrong += found(page, visit.path, runOnly=TAGS)
    assert wrong == [], "\n".join(wrong)


@pytest.mark.e2e
@pytest.mark.django_db(transaction=True)
def test_what_a_report_shows_has_no_violation(look: Look, project: Project, alice: User) -> None:
    """Its texts are folded: the pages as they open do not show them."""
    kinds_make(project, alice)
    words_make(project, alice)
    talk = talk_begin(project, alice, "red_team")
    exchange_make(talk, "x" * 300, parent=exchange_make(talk))
    report_create(assignment_id=talk.pk, reporter=alice, kind="content", text="Upsetting")
    path = "/projects/project/reports/"
    page = look(Visit(alice, path))
    page.locator(".report details").evaluate_all("all => all.forEach(one => one.open = true)")
    assert list(looked_at(page, path)) == []
