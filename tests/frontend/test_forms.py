"""What admins and users can change on pages."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from annotation.models import ApiToken, Membership, Project, Prompt
from annotation.services.tokens import token_authenticate
from training.models import LoopSettings


@pytest.fixture
def admin(alice: User, project: Project) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def import_lines(client: Client, **data: object) -> str:
    return client.post("/projects/project/prompts/", data, follow=True).content.decode()


def test_prompts_are_pasted(admin: Client, project: Project) -> None:
    page = import_lines(admin, text='{"prompt": "One?"}\n\n{"prompt": "Two?"}\n{"prompt": "One?"}')
    assert "2 prompts imported. 1 were already here." in page
    assert project.prompts.count() == 2


def test_prompts_come_from_a_file(admin: Client, project: Project) -> None:
    file = SimpleUploadedFile("prompts.jsonl", '\ufeff{"prompt": "Süß?"}\n'.encode())
    assert "1 prompts imported" in import_lines(admin, file=file)
    assert project.prompts.get().messages[0]["content"] == "Süß?"


def test_bad_lines_are_shown_by_number_and_nothing_is_stored(
    admin: Client, project: Project
) -> None:
    text = '{"prompt": "Good?"}\n{"prompt": 3}\n<b>no</b>'
    page = import_lines(admin, text=text)
    assert re.findall(r"Line (\d+)", page) == ["2", "3"]
    assert "prompt_lines_invalid" in page
    assert "Good?" in page, "what was pasted is still in the field"
    assert "<b>no</b>" not in page
    assert not Prompt.objects.exists()


def test_a_file_that_is_not_text_is_refused(admin: Client) -> None:
    assert "not UTF-8" in import_lines(admin, file=SimpleUploadedFile("x.jsonl", b"\xff\xfe\x00"))


def test_pasting_and_a_file_at_once_is_refused(admin: Client) -> None:
    file = SimpleUploadedFile("prompts.jsonl", b'{"prompt": "One?"}')
    assert "one of the two" in import_lines(admin, file=file, text='{"prompt": "Two?"}')
    assert "one of the two" in import_lines(admin, text="  ")


def test_a_reviewer_may_not_import(bob: User, project: Project) -> None:
    Membership.objects.filter(user=bob).update(role="reviewer")
    client = Client()
    client.force_login(bob)
    answer = client.post("/projects/project/prompts/", {"text": '{"prompt": "One?"}'})
    assert answer.status_code == 403
    assert not Prompt.objects.exists()


def test_members_come_change_and_go(admin: Client, project: Project, charlie: User) -> None:
    page = "/projects/project/members/"
    admin.post(page, {"username": "charlie", "role": "labeler"})
    assert project.memberships.get(user=charlie).role == "labeler"
    admin.post(page, {"username": "charlie", "role": "reviewer"})
    assert project.memberships.get(user=charlie).role == "reviewer"
    admin.post(f"{page}{charlie.pk}/remove/")
    assert not project.memberships.filter(user=charlie).exists()


def test_the_last_admin_stays(admin: Client, alice: User, project: Project) -> None:
    path = f"/projects/project/members/{alice.pk}/remove/"
    assert "last_admin" in admin.post(path, follow=True).content.decode()
    assert project.memberships.filter(user=alice).exists()


def test_an_unknown_member_is_refused(admin: Client) -> None:
    answer = admin.post("/projects/project/members/", {"username": "nobody", "role": "labeler"})
    assert "There is no user nobody." in answer.content.decode()


def settings_of(page: str) -> dict[str, str]:
    """The values a browser would send back: enough of HTML for these forms."""
    fields = dict(re.findall(r'<input type="(?:text|number)" name="(\w+)" value="([^"]*)"', page))
    areas = re.findall(r'<textarea name="(\w+)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    unescaped = {name: text.replace("&quot;", '"') for name, text in areas}
    chosen = {"policy_method": "ppo", "strategy": "random", "kinds": ["ranking"]}
    return fields | unescaped | chosen | {"is_active": "on"}


def test_settings_are_saved_together(admin: Client, project: Project) -> None:
    path = "/projects/project/settings/"
    values = settings_of(admin.get(path).content.decode())
    values |= {"name": "New name", "rankings_per_round": "7"}
    page = admin.post(path, values, follow=True).content.decode()
    assert "Saved." in page
    project.refresh_from_db()
    loop = LoopSettings.objects.get(project=project)
    assert (project.name, project.kinds) == ("New name", ["ranking"])
    assert (loop.rankings_per_round, loop.auto_start) == (7, False)


def test_a_refused_hyperparameter_saves_nothing(admin: Client, project: Project) -> None:
    path = "/projects/project/settings/"
    values = settings_of(admin.get(path).content.decode())
    values |= {"name": "New name", "overrides": '{"ppo": {"no_such_field": 1}}'}
    page = admin.post(path, values).content.decode()
    assert "Nothing was saved." in page
    assert "config_invalid" in page
    project.refresh_from_db()
    assert project.name == "The project"


def test_a_token_is_shown_once_and_revoked(admin: Client, alice: User) -> None:
    page = admin.post("/account/", {"name": "laptop", "days": "30"}).content.decode()
    text = re.search(r"pf_[\w-]{43}", page)
    assert text
    token = token_authenticate(text[0])
    assert token is not None
    assert token.user == alice
    assert text[0] not in admin.get("/account/").content.decode()
    admin.post(f"/account/tokens/{token.pk}/revoke/")
    assert token_authenticate(text[0]) is None


def test_nobody_revokes_the_token_of_another(admin: Client, charlie: User) -> None:
    client = Client()
    client.force_login(charlie)
    client.post("/account/", {"name": "mine", "days": "0"})
    token = ApiToken.objects.get(user=charlie)
    assert admin.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None


def test_the_login_says_what_to_check(db: None) -> None:
    page = Client().post("/login/", {"username": "alice", "password": "wrong"}).content.decode()
    assert "That did not match." in page
