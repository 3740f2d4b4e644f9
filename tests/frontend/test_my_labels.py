"""The page that tells a labeler what their work changed."""

from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotation.models import Project
from annotation.selectors.statistics import DayCount
from annotation.services.assignments import assignment_submit, judgements_freeze
from annotation.services.exclusions import labeler_exclude
from frontend.bars import bars
from frontend.views.my_labels import TAGS
from tests.factories import (
    claim_make,
    completion_ids,
    labeler_make,
    ranking_make,
    ranking_task_make,
)
from tests.frontend.conftest import OpenPage, violations
from tests.training.family import family_make
from training.models import LoopSettings
from training.selectors.contributions import OUTCOMES

PATH = "/projects/project/my-labels/"


@pytest.fixture
def taught(project: Project, bob: User) -> Project:
    """Bob taught rounds 1 and 3, and judged five tasks as Dora did."""
    LoopSettings.objects.create(project=project)
    dora = labeler_make(project, "dora")
    family_make(project, bob, dora)
    for _ in range(5):
        task = ranking_task_make(project, num_completions=2, judgements_wanted=2)
        order = [[pk] for pk in completion_ids(task)]
        for person in (bob, dora):
            assignment = claim_make(project, person, "ranking")
            assignment_submit(
                assignment_id=assignment.pk, annotator=person, payload={"order": order}
            )
    judgements_freeze(project=project)
    return project


def test_every_outcome_of_a_round_has_a_tag() -> None:
    assert set(TAGS) == set(OUTCOMES)


def text_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(PATH)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.django_db
def test_it_tells_rounds_agreement_and_numbers(taught: Project, bob: User) -> None:
    page = text_of(bob)
    assert "1 judgement of yours was part of the 6 that taught round 1." in page
    # Five prompts of one pair each, all equal: Wilson's interval of 5 of 5 begins at 57 %.
    assert "Equal in 100% of 5 cases (between 57% and 100%, with 95% confidence)." in page
    assert "Over the 5 tasks that you and others judged." in page
    assert "1 day in a row" in page
    # Neither another person nor a model is named.
    assert "dora" not in page
    assert "ppo" not in page


@pytest.mark.django_db
def test_it_says_what_is_to_come_where_nothing_is_yet(
    project: Project, bob: User, alice: User, charlie: User
) -> None:
    assert "You have judged nothing here yet." in text_of(bob)
    ranking_make(project, bob)
    page = text_of(bob)
    assert "No round has learned from your judgements yet." in page
    assert "once 5 of the tasks" in page
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    assert "An admin withdrew your work" in text_of(bob)
    client = Client()
    client.force_login(charlie)
    assert client.get(PATH).status_code == 404


@pytest.mark.django_db
def test_my_work_leads_to_it(project: Project, bob: User) -> None:
    client = Client()
    client.force_login(bob)
    assert PATH in client.get("/").content.decode()
    assert PATH in client.get("/projects/project/work/ranking/").content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_is_readable_by_everybody(
    taught: Project, bob: User, open_page: OpenPage, width: int
) -> None:
    page = open_page(bob, PATH, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".my-round").count() == 2
    assert page.locator(".day-bars rect").count() == 1
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert violations(page) == []


def test_bars_reach_the_top_on_the_busiest_day() -> None:
    days = [DayCount(date(2026, 5, 1) + timedelta(days=n), n) for n in range(3)]
    found = bars(days)
    assert found is not None
    # 96 high, 16 kept for the number above and 18 for the day below: 62 for two judgements.
    assert [(bar.y, bar.height) for bar in found.bars] == [(78.0, 0.0), (47.0, 31.0), (16.0, 62.0)]
    assert bars([DayCount(date(2026, 5, 1), 0)]) is None
