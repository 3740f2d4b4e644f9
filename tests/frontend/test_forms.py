"""What admins and users can change on pages."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from annotation.models import ApiToken, Membership, Project, Prompt
from annotation.services.assignments import assignment_skip
from annotation.services.tokens import token_authenticate
from frontend.loop_form import LoopSettingsForm, preset_choices
from tests.factories import claim_make, ranking_task_make
from training.algorithms.configs import option_help
from training.gates import Gates
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
    assert "1 prompt imported." in import_lines(admin, file=file)
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


def test_members_are_shown_with_why_tasks_were_skipped(
    admin: Client, project: Project, bob: User
) -> None:
    path = "/projects/project/members/"
    assert "Why tasks were skipped" not in admin.get(path).content.decode()
    ranking_task_make(project)
    held = claim_make(project, bob)
    assignment_skip(assignment_id=held.pk, annotator=bob, reason="<b>It is harmful</b>")
    page = admin.get(path).content.decode()
    assert "Why tasks were skipped" in page
    assert "&lt;b&gt;It is harmful&lt;/b&gt;" in page
    assert "rankings: 1" in page


def test_a_refused_role_is_still_in_the_form(admin: Client, project: Project) -> None:
    answer = admin.post("/projects/project/members/", {"username": "alice", "role": "labeler"})
    page = answer.content.decode()
    assert "last_admin" in page
    assert 'value="alice"' in page
    assert project.memberships.get().role == "admin"


def test_an_unknown_member_is_refused(admin: Client) -> None:
    answer = admin.post("/projects/project/members/", {"username": "nobody", "role": "labeler"})
    assert "There is no user nobody." in answer.content.decode()


class Sent(HTMLParser):
    """What a browser would send back for the fields of a page: enough of HTML for these forms."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        kind = given.get("type") or ""
        if tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in self.values):
            self.values[self._select] = given.get("value") or ""
        elif tag == "textarea":
            self._area, self.values[name] = name, ""
        elif tag == "input" and kind == "checkbox" and "checked" in given:
            value = given.get("value") or "on"
            self.values.setdefault(name, []).append(value)
        elif tag == "input" and kind in ("text", "number"):
            self.values[name] = given.get("value") or ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""


def settings_of(page: str) -> dict[str, Any]:
    sent = Sent()
    sent.feed(page)
    return sent.values


def settings_post(client: Client, **changes: Any) -> str:
    """Sends the settings page back with these changes."""
    path = "/projects/project/settings/"
    values = settings_of(client.get(path).content.decode()) | changes
    return client.post(path, values, follow=True).content.decode()


def test_settings_are_saved_together(admin: Client, project: Project) -> None:
    page = settings_post(
        admin, name="New name", kinds=["ranking"], rankings_per_round="7", auto_start=[]
    )
    assert "Saved." in page
    project.refresh_from_db()
    loop = LoopSettings.objects.get(project=project)
    assert (project.name, project.kinds) == ("New name", ["ranking"])
    assert (loop.rankings_per_round, loop.auto_start) == (7, False)


def test_settings_sent_back_unchanged_change_nothing(admin: Client, project: Project) -> None:
    LoopSettings.objects.create(
        project=project,
        interval_hours=12.5,
        gates={"max_kl": 20.0, "max_gain_gap": None},
        policy_start="previous",
        weight_previous=0.5,
        test_reward_model=False,
        overrides={"ppo": {"num_steps": 5}},
    )
    before = LoopSettings.objects.values().get(project=project)
    assert "Saved." in settings_post(admin)
    assert LoopSettings.objects.values().get(project=project) == before


def test_a_gate_has_a_limit_is_switched_off_or_keeps_its_default(
    admin: Client, project: Project
) -> None:
    page = settings_post(
        admin, gate_max_kl="12.5", gate_max_length_ratio="3", gate_max_length_ratio_off="on"
    )
    assert "Saved." in page
    loop = LoopSettings.objects.get(project=project)
    assert loop.gates == {"max_kl": 12.5, "max_length_ratio": None}
    form = LoopSettingsForm(instance=loop)
    assert {item.number.name.removeprefix("gate_") for item in form.gates} == set(
        option_help(Gates)
    )
    page = settings_post(admin, gate_max_kl="-1")
    assert "config_invalid" in page
    assert LoopSettings.objects.get(project=project).gates == loop.gates


def test_every_field_of_the_loop_is_in_one_group(project: Project) -> None:
    form = LoopSettingsForm(instance=LoopSettings(project=project))
    shown = [field.name for group in form.groups for field in group.fields]
    assert len(shown) == len(set(shown))
    stored = {field.name for field in LoopSettings._meta.concrete_fields}
    # A preset is applied, not typed; gates are fields of their own.
    assert set(shown) == stored - {"id", "created_at", "project", "preset", "gates"}


def test_a_protocol_says_what_it_changes_and_is_applied(admin: Client, project: Project) -> None:
    settings = LoopSettings.objects.create(project=project, weight_previous=0.5)
    changes = {
        preset.name: {change.label: (change.before, change.after) for change in found}
        for preset, found in preset_choices(settings, project)
    }
    assert changes["instructgpt"]["Weight of the policy before"] == ("0.5", "0")
    assert changes["instructgpt"]["ppo: kl_coefficient"] == ("default", "0.02")
    assert "Weight of the policy before" not in changes["hh"]
    assert changes["rlhf_workflow"]["How it is trained"] == ("ppo", "dpo")
    path = "/projects/project/settings/preset/"
    page = admin.post(path, {"preset": "rlhf_workflow"}, follow=True).content.decode()
    assert "The protocol of RLHF Workflow holds from the next round on." in page
    assert "last applied: RLHF Workflow" in page
    settings.refresh_from_db()
    assert (settings.policy_method, settings.reward_model) == ("dpo", "none")
    assert "preset_unknown" in admin.post(path, {"preset": "x"}, follow=True).content.decode()


def test_a_refused_hyperparameter_saves_nothing(admin: Client, project: Project) -> None:
    page = settings_post(admin, name="New name", overrides='{"ppo": {"no_such_field": 1}}')
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
