"""The pages of lineage, and forgetting somebody through them."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotation.models import Exclusion, Project
from annotation.services.exclusions import labeler_exclude
from annotation.services.projects import membership_remove
from frontend.descent import descent
from tests.factories import demonstration_make, labeler_make
from tests.training.family import BOBS, Family, family_make, sampled
from training.choices import RoundStatus
from training.models import LoopSettings, Round
from training.selectors.lineage import checkpoint_ancestry

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(project: Project) -> User:
    return labeler_make(project, "dora")


@pytest.fixture
def rita(project: Project) -> User:
    rita = labeler_make(project, "rita")
    rita.memberships.update(role="reviewer")
    return rita


@pytest.fixture
def family(project: Project, bob: User, dora: User) -> Family:
    LoopSettings.objects.create(project=project)
    return family_make(project, bob, dora)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(user: User, path: str) -> str:
    answer = client_of(user).get(path)
    assert answer.status_code == 200, path
    return re.sub(r"\s+", " ", answer.content.decode())


def member_path(user: User, page: str = "lineage") -> str:
    return f"/projects/project/members/{user.pk}/{page}/"


def test_the_pages_of_a_person_are_for_admins(
    family: Family, alice: User, bob: User, rita: User, charlie: User
) -> None:
    for page in ("lineage", "forget"):
        path = member_path(bob, page)
        assert client_of(alice).get(path).status_code == 200
        assert client_of(rita).get(path).status_code == 403
        assert client_of(bob).get(path).status_code == 403
        assert client_of(charlie).get(path).status_code == 404
    for page in ("forget", "readmit"):
        for user, status in ((rita, 403), (bob, 403), (charlie, 404)):
            answer = client_of(user).post(member_path(bob, page), {"reason": "Spam"})
            assert answer.status_code == status
    assert Exclusion.objects.count() == 0
    assert client_of(alice).get(member_path(charlie)).status_code == 404


def test_a_person_leads_to_every_model_that_learned_from_them(
    family: Family, alice: User, bob: User
) -> None:
    page = text_of(alice, member_path(bob))
    models = re.findall(r'<th scope="row">(\S+) <span class="tag">', page)
    assert sorted(models) == sorted(BOBS)
    assert "rankings: 1, thumbs: 1" in page
    # One of 4 rankings and 2 demonstrations.
    assert "17% of 6" in page
    assert f'href="{member_path(bob, "forget")}"' in page
    assert member_path(bob) in text_of(alice, "/projects/project/members/")


def test_forgetting_says_first_what_will_happen(family: Family, alice: User, bob: User) -> None:
    page = text_of(alice, member_path(bob, "forget"))
    assert "2 judgements will no longer count (rankings: 1, thumbs: 1)" in page
    assert "5 models will be marked as trained on withdrawn labels, 1 of them in use now" in page
    assert Exclusion.objects.count() == 0


def test_forgetting_marks_the_models_and_readmitting_unmarks_them(
    family: Family, alice: User, bob: User
) -> None:
    client = client_of(alice)
    answer = client.post(member_path(bob, "forget"), {"reason": "Random clicks"}, follow=True)
    page = answer.content.decode()
    assert "bob&#x27;s work no longer counts" in page
    assert "Random clicks" in page
    assert "Work withdrawn" in text_of(alice, "/projects/project/members/")
    marked = text_of(alice, "/projects/project/checkpoints/").count("Trained on withdrawn labels")
    assert marked == len(BOBS)
    page = client.post(member_path(bob, "readmit"), follow=True).content.decode()
    assert "counts again" in page
    assert "withdrawn labels" not in text_of(alice, "/projects/project/checkpoints/")
    again = client.post(member_path(bob, "readmit"), follow=True).content.decode()
    assert "labeler_not_excluded" in again


def test_a_round_that_cannot_start_is_a_warning(family: Family, alice: User, bob: User) -> None:
    Round.objects.filter(number=3).update(status=RoundStatus.RUNNING, finished_at=None)
    asked = {"reason": "Random clicks", "retrain": "on"}
    page = client_of(alice).post(member_path(bob, "forget"), asked, follow=True).content.decode()
    assert 'class="notice warning">No round has started: ' in page
    assert "round_already_running" in page
    assert Exclusion.objects.filter(user=bob).count() == 1


def test_a_reason_is_asked_for(family: Family, alice: User, bob: User) -> None:
    answer = client_of(alice).post(member_path(bob, "forget"), {"reason": " "})
    assert answer.status_code == 200
    assert "This field is required" in answer.content.decode()
    assert Exclusion.objects.count() == 0


def test_who_left_and_is_excluded_is_still_found(family: Family, alice: User, bob: User) -> None:
    labeler_exclude(project=family.project, user=bob, actor=alice, reason="Spam")
    membership_remove(actor=alice, project=family.project, user=bob)
    page = text_of(alice, "/projects/project/members/")
    assert member_path(bob) in page.split("no members any more")[1]


def test_an_excluded_labeler_is_told_so_instead_of_given_work(
    family: Family, alice: User, bob: User
) -> None:
    labeler_exclude(project=family.project, user=bob, actor=alice, reason="Spam")
    answer = client_of(bob).get("/projects/project/work/ranking/")
    assert answer.status_code == 403
    assert "Ask an admin of the project to readmit you" in answer.content.decode()


def test_an_answer_leads_back_to_models_and_people(
    family: Family, alice: User, bob: User, rita: User, charlie: User
) -> None:
    path = f"/projects/project/completions/{sampled(family, 'ppo-1')}/lineage/"
    page = text_of(alice, path)
    names = re.findall(r"<strong>(\S+)</strong>", page)
    # Down the tree in reading order; the SFT stands in full once.
    assert names == ["ppo-1", "sft-0", "base", "rm-1", "sft-0"]
    assert page.count("As above.") == 1
    assert member_path(bob) in page
    page = text_of(rita, path)
    assert "Labeler 1" in page
    assert "bob" not in page
    assert "dora" not in page
    assert client_of(bob).get(path).status_code == 403
    assert client_of(charlie).get(path).status_code == 404
    assert client_of(alice).get("/projects/project/completions/0/lineage/").status_code == 404


def test_a_persons_answer_names_its_author_to_admins(
    family: Family, project: Project, alice: User, bob: User
) -> None:
    completion = demonstration_make(project, bob, "Written by hand.").completion_id
    page = text_of(alice, f"/projects/project/completions/{completion}/lineage/")
    assert "Written by hand." in page
    assert member_path(bob) in page


def test_the_tree_tells_everything_once(family: Family) -> None:
    branch = descent(checkpoint_ancestry(family.models["ppo-2"]))
    assert branch is not None
    # init: ppo-1 in full, with sft-0 and rm-1 below it; then both of its own are known or new.
    assert [(item.entry["checkpoint"], item.role, item.is_again) for item in branch.branches] == [
        ("ppo-1", "init", False),
        ("sft-0", "reference", True),
        ("rm-2", "reward_model", False),
    ]
    assert descent([]) is None
