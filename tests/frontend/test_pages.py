"""Each page for each role: Alice admin, Bob labeler, Charlie stranger, and nobody at all."""

import json
import re
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from annotation.models import Completion, Project, Prompt, Task
from tests.factories import (
    demonstration_task_make,
    labeler_make,
    project_make,
    ranking_task_make,
)
from tests.frontend.loop_rows import LoopRows
from training.algorithms.measuring.calibration import JudgedPair, calibration_report
from training.choices import SamplePurpose
from training.models import Run, Sample

LABELER_PAGES = ["work/ranking/", "work/demonstration/"]
REVIEWER_PAGES = [
    "",
    "live/",
    "rounds/0/",
    "rounds/1/",
    "runs/{policy_run}/",
    "runs/{policy_run}/live/",
    "runs/{policy_run}/curves/",
    "runs/{reward_run}/",
    "runs/{failed_run}/",
    "checkpoints/",
    "answers/",
    "prompts/",
]
ADMIN_PAGES = ["ai-feedback/", "members/", "settings/"]
PROJECT_PAGES = LABELER_PAGES + REVIEWER_PAGES + ADMIN_PAGES
OWN_PAGES = ["/", "/account/", "/account/password/"]
OPEN_PAGES = ["/login/", "/api/v1/docs/"]


def path_of(page: str, rows: LoopRows) -> str:
    numbers = {
        "policy_run": rows.policy_run.pk,
        "reward_run": rows.reward_run.pk,
        "failed_run": rows.failed_run.pk,
    }
    return f"/projects/project/{page.format(**numbers)}"


def get(user: User | None, path: str) -> HttpResponse:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client.get(path)


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_an_admin_sees_every_page(page: str, alice: User, loop_rows: LoopRows) -> None:
    assert get(alice, path_of(page, loop_rows)).status_code == 200


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_a_labeler_sees_the_work_alone(page: str, bob: User, loop_rows: LoopRows) -> None:
    expected = 200 if page in LABELER_PAGES else 403
    assert get(bob, path_of(page, loop_rows)).status_code == expected


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_a_stranger_learns_nothing(page: str, charlie: User, loop_rows: LoopRows) -> None:
    answer = get(charlie, path_of(page, loop_rows))
    assert answer.status_code == 404
    assert "The project" not in answer.content.decode()


@pytest.mark.parametrize("page", PROJECT_PAGES)
def test_without_login_one_is_asked_to_log_in(page: str, loop_rows: LoopRows) -> None:
    path = path_of(page, loop_rows)
    answer = get(None, path)
    assert answer.status_code == 302
    assert answer["Location"] == f"/login/?next={path}"


@pytest.mark.parametrize("page", REVIEWER_PAGES)
def test_a_reviewer_reads_and_does_not_manage(page: str, alice: User, loop_rows: LoopRows) -> None:
    carol = labeler_make(loop_rows.project, "carol")
    carol.memberships.update(role="reviewer")
    answer = get(carol, path_of(page, loop_rows))
    assert answer.status_code == 200
    assert "<button" not in answer.content.decode().split("<main")[-1]


@pytest.mark.parametrize("page", ADMIN_PAGES)
def test_a_reviewer_sees_no_admin_page(page: str, alice: User, loop_rows: LoopRows) -> None:
    carol = labeler_make(loop_rows.project, "carol")
    carol.memberships.update(role="reviewer")
    assert get(carol, path_of(page, loop_rows)).status_code == 403


@pytest.mark.parametrize("path", OWN_PAGES)
def test_everybody_has_work_and_an_account(path: str, charlie: User) -> None:
    assert get(charlie, path).status_code == 200
    assert get(None, path).status_code == 302


def test_an_unknown_kind_of_work_is_not_found(bob: User, project: Project) -> None:
    assert get(bob, "/projects/project/work/telepathy/").status_code == 404


def test_my_work_counts_and_leads_to_it(bob: User, project: Project) -> None:
    ranking_task_make(project)
    ranking_task_make(project)
    demonstration_task_make(project)
    page = get(bob, "/").content.decode()
    assert "/projects/project/work/ranking/" in page
    assert re.findall(r'open for you</dt><dd class="number">(\d+)', page) == ["1", "2"]
    assert "Dashboard" not in page


def test_the_dashboard_tells_where_the_loop_stands(alice: User, loop_rows: LoopRows) -> None:
    page = get(alice, "/projects/project/").content.decode()
    assert "Round 2 needs 64 new rankings; there are 0, so 64 are missing." in page
    assert "zz-policy-secret" in page
    assert "0.71" in page
    assert "+1.20" in page
    assert "Lower the learning rate in the settings, then retry." in page
    assert re.search(r'<button[^>]*id="train-now"[^>]*disabled', page)


def test_train_now_starts_a_round_or_says_why_not(alice: User, loop_rows: LoopRows) -> None:
    client = Client()
    client.force_login(alice)
    page = client.post("/projects/project/rounds/start/", follow=True).content.decode()
    assert "not_enough_rankings" in page
    assert loop_rows.project.rounds.count() == 2


@pytest.mark.parametrize(
    "action", ["rounds/start/", "rounds/1/cancel/", "runs/{failed_run}/retry/"]
)
def test_only_an_admin_steers_the_loop(action: str, bob: User, loop_rows: LoopRows) -> None:
    client = Client()
    client.force_login(bob)
    assert client.post(path_of(action, loop_rows)).status_code == 403


def test_a_run_of_another_project_is_not_found(alice: User, loop_rows: LoopRows) -> None:
    project_make(admin=alice, slug="other")
    assert get(alice, f"/projects/other/runs/{loop_rows.policy_run.pk}/").status_code == 404


def test_a_reward_models_run_shows_its_calibration(alice: User, loop_rows: LoopRows) -> None:
    # Predicted 0.73 for every better one; three of four times that one was really scored higher.
    pairs = [
        JudgedPair(prompt_id, odds, 5, ("ppo-1", writer), None, 1)
        for prompt_id, (odds, writer) in enumerate(
            [(1.0, "sft-0"), (1.0, "sft-0"), (1.0, "sft-0"), (-1.0, "person")]
        )
    ]
    report = json.loads(json.dumps(calibration_report(pairs)))
    run = loop_rows.policy_run
    Run.objects.filter(pk=run.pk).update(result={"metrics": {}, "data": {"calibration": report}})
    page = get(alice, f"/projects/project/runs/{run.pk}/").content.decode()
    assert "by predicted probability. Latest: People 0.75, Model 0.73" in page
    assert "75% of 4 pairs" in page
    assert "people prefer it in 100%, the model in 75%" in page
    rows = re.findall(r'<th scope="row">(.*?)</th><td class="number">(.*?)</td>', page)
    assert rows == [("ppo-1 | person", "0%"), ("ppo-1 | sft-0", "100%")]
    without = get(alice, f"/projects/project/runs/{loop_rows.failed_run.pk}/").content.decode()
    assert "Calibration on held-out" not in without


class Strictness(HTMLParser):
    """Collects what a strict content security policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_data = values.get("type") == "application/json"
        if tag == "style" or (tag == "script" and "src" not in values and not is_data):
            self.found.append(f"inline <{tag}>")
        self.found += [f"{name} on <{tag}>" for name in values if name == "style"]
        self.found += [f"{name} on <{tag}>" for name in values if name.startswith("on")]
        links = [values.get(name) or "" for name in ("href", "src", "action")]
        self.found += [link for link in links if re.match(r"(https?:)?//|javascript:|data:", link)]


@pytest.mark.parametrize("path", [*PROJECT_PAGES, *OWN_PAGES, *OPEN_PAGES, "/nowhere/"])
def test_no_page_needs_an_exception_from_the_csp(
    path: str, alice: User, loop_rows: LoopRows
) -> None:
    ranking_task_make(loop_rows.project)
    demonstration_task_make(loop_rows.project)
    user = None if path in OPEN_PAGES else alice
    answer = get(user, path if path.startswith("/") else path_of(path, loop_rows))
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    strictness = Strictness()
    strictness.feed(answer.content.decode())
    assert strictness.found == []


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&{{ 7|add:7 }}"


def test_hostile_text_stays_text(alice: User, loop_rows: LoopRows) -> None:
    project = loop_rows.project
    task = ranking_task_make(project)
    Prompt.objects.update(messages=[{"role": "user", "content": HOSTILE}])
    Completion.objects.update(text=HOSTILE)
    Project.objects.update(name=HOSTILE, description=HOSTILE, guidelines=HOSTILE)
    assert task.prompt_id
    for page in ["", "answers/", "prompts/", "settings/", "work/ranking/"]:
        html = get(alice, path_of(page, loop_rows)).content.decode()
        assert "<script>alert" not in html, page
        assert "<img" not in html, page


def test_work_is_blind(bob: User, loop_rows: LoopRows) -> None:
    """Nothing in the page or in what the API gives tells who or what wrote an answer."""
    task = ranking_task_make(loop_rows.project)
    for index, completion in enumerate(Completion.objects.filter(tasks=task)):
        Sample.objects.create(
            completion=completion,
            checkpoint=(loop_rows.sft, loop_rows.policy)[index % 2],
            run=loop_rows.policy_run,
            index=index,
            settings={"temperature": 0.123},
            seed=998877,
            num_tokens=5,
            finished=True,
            purpose=SamplePurpose.RANKING,
        )
    assert Task.objects.filter(pk=task.pk, status="open").exists()
    client = Client()
    client.force_login(bob)
    page = client.get("/projects/project/work/ranking/").content.decode()
    claimed = client.post(
        "/api/v1/projects/project/assignments/claim/", {}, content_type="application/json"
    ).content.decode()
    assert '"completions"' in page
    for text in (page, claimed):
        for secret in ("zz-", "secret", "checkpoint", "ppo", "0.123", "998877", "alice"):
            assert secret not in text, secret
