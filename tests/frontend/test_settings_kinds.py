"""The admin's pages of what people are asked to do: kinds, guidelines, briefs, flags, reports."""

import re
from html import unescape

import pytest
from django import forms
from django.contrib.auth.models import User
from django.test import Client
from rest_framework import serializers

from annotation.choices import AssignmentStatus
from annotation.errors import InvalidInput
from annotation.judgements import kind_get, kind_list
from annotation.judgements.base import Supply
from annotation.models import Brief, Completion, FlagSchema, Project, Report, Task
from annotation.services.assignments import assignment_submit
from annotation.services.briefs import brief_create
from annotation.services.consents import consent_give
from annotation.services.projects import project_update
from annotation.services.reports import report_create
from frontend.kinds_form import (
    JUDGING,
    TALKING,
    WORDS,
    WRITING,
    KindsForm,
    option_field,
    option_name,
    target_name,
)
from tests.factories import (
    brief_make,
    claim_make,
    exchange_make,
    labeler_make,
    ranking_task_make,
    talk_begin,
)
from tests.frontend.test_forms import settings_post

PAGES = ["briefs/", "guidelines/", "flags/", "reports/"]


@pytest.fixture
def admin(alice: User, project: Project) -> Client:
    return client_of(alice)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text_of(client: Client, page: str) -> str:
    return unescape(client.get(f"/projects/project/{page}").content.decode())


def post(client: Client, page: str, **values: object) -> str:
    answer = client.post(f"/projects/project/{page}", values, follow=True)
    return unescape(answer.content.decode())


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        (serializers.IntegerField(min_value=2, max_value=9), 8, forms.IntegerField),
        (serializers.BooleanField(default=True), True, forms.BooleanField),
        (serializers.ChoiceField(["off", "required"]), "off", forms.ChoiceField),
        (serializers.CharField(), "Careful.", forms.CharField),
        (
            serializers.ListField(child=serializers.ChoiceField(["plain", "few_shot"])),
            ["plain"],
            forms.MultipleChoiceField,
        ),
    ],
)
def test_each_type_of_option_has_its_field(
    option: serializers.Field, value: object, expected: type[forms.Field]
) -> None:
    class Options(serializers.Serializer):
        surprise = option

    field = option_field("surprise", Options().fields["surprise"], value)
    assert type(field) is expected
    assert (field.label, field.initial) == ("Surprise", value)


def test_a_number_keeps_to_its_range() -> None:
    option = serializers.IntegerField(min_value=2, max_value=9)
    field = option_field("levels", option, 8)
    assert (field.clean("9"), field.clean("2")) == (9, 2)
    for wrong in ("1", "10", "x", ""):
        with pytest.raises(forms.ValidationError):
            field.clean(wrong)


def test_names_stand_one_to_a_line() -> None:
    option = serializers.ListField(child=serializers.CharField())
    field = option_field("dimensions", option, ["helpful", "honest"])
    assert field.prepare_value(["helpful", "honest"]) == "helpful\nhonest"
    assert field.clean(" helpful \r\n\r\nharmless") == ["helpful", "harmless"]
    assert field.clean("") == []


def test_every_kind_stands_in_one_group_with_all_its_options(project: Project) -> None:
    form = KindsForm(project=project)
    groups = {title: [entry.kind.name for entry in entries] for title, entries in form.groups}
    assert sorted(name for names in groups.values() for name in names) == sorted(
        kind.name for kind in kind_list()
    )
    assert {"ranking", "comparison", "rating", "thumbs", "evidence"} == set(groups[JUDGING])
    assert {"demonstration", "prompt_writing"} == set(groups[WRITING])
    assert {"dialogue", "conversation", "red_team", "rule_probe"} == set(groups[TALKING])
    for kind in kind_list():
        for option in kind.options_serializer().fields:
            assert option_name(kind, option) in form.fields
            assert option in WORDS, "a label for people"
        assert (target_name(kind) in form.fields) == (kind.supply is Supply.TARGET)


def test_settings_sent_back_unchanged_store_no_options(admin: Client, project: Project) -> None:
    assert "Saved." in settings_post(admin)
    project.refresh_from_db()
    assert (project.kinds, project.options, project.targets) == (
        ["demonstration", "ranking"],
        {},
        {},
    )


def test_kinds_options_and_targets_are_chosen(admin: Client, project: Project) -> None:
    page = settings_post(
        admin,
        kinds=["ranking", "comparison", "conversation"],
        comparison__levels="5",
        comparison__tie=[],
        comparison__dimensions="helpful\nharmless",
        comparison__reason="required",
        conversation__num_replies="3",
        target__conversation="2",
        undo_minutes="3",
    )
    assert "Saved." in page
    project.refresh_from_db()
    # What was there stays first, so that the page of work keeps its order.
    assert project.kinds == ["ranking", "comparison", "conversation"]
    assert project.options == {
        "comparison": {
            "levels": 5,
            "tie": False,
            "dimensions": ["helpful", "harmless"],
            "reason": "required",
        },
        "conversation": {"num_replies": 3},
    }
    assert (project.targets, project.undo_minutes) == ({"conversation": 2}, 3)
    assert Task.objects.filter(kind="conversation").count() == 2
    assert kind_get("comparison").options(project)["both_bad"] is True
    page = settings_post(admin, comparison__levels="8", comparison__tie="on")
    project.refresh_from_db()
    assert set(project.options["comparison"]) == {"dimensions", "reason"}, "defaults are not kept"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kinds": []}, "This field is required."),
        ({"comparison__levels": "12"}, "less than or equal to 9"),
        ({"dialogue__min_turns": "9", "dialogue__max_turns": "3"}, "more than max_turns"),
        ({"target__conversation": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_a_kind_cannot_do_is_refused(
    changes: dict[str, object], words: str, admin: Client, project: Project
) -> None:
    page = settings_post(admin, name="New name", **changes)
    assert words in unescape(page)
    project.refresh_from_db()
    assert (project.name, project.options) == ("The project", {})


def test_guidelines_are_versions(admin: Client, alice: User, project: Project) -> None:
    post(admin, "guidelines/", guidelines="Be kind.\r\nBe brief.")
    post(admin, "guidelines/", guidelines="Be kind.\r\nBe clear.")
    page = post(admin, "guidelines/", guidelines="Be kind.\r\nBe clear.")
    versions = project.guidelines_versions.order_by("number")
    assert [version.text for version in versions] == ["Be kind.\nBe brief.", "Be kind.\nBe clear."]
    assert all(version.author == alice for version in versions)
    assert re.findall(r"<summary>Version (\d)", page) == ["2", "1"]
    # Each stands with the one before; the first with nothing.
    assert re.findall(r"data-before>([^<]*)<", page) == ["Be kind.\nBe brief.", ""]


def test_a_brief_is_added_reworded_and_switched(admin: Client, project: Project) -> None:
    values = {"kind": "rule", "name": "No threats", "text": "Do not threaten."}
    assert "Added." in post(admin, "briefs/add/", **values)
    assert "brief_name_taken" in post(admin, "briefs/add/", **values)
    brief = Brief.objects.get()
    page = post(admin, f"briefs/{brief.pk}/", text="Never threaten.")
    assert "No threats is at version 2." in page
    assert re.findall(r"<summary>Version (\d)", page) == ["2", "1"]
    newest = Brief.objects.get(version=2)
    assert (newest.is_active, Brief.objects.get(version=1).is_active) == (True, False)
    post(admin, f"briefs/{newest.pk}/deactivate/")
    assert not Brief.objects.filter(is_active=True).exists()
    post(admin, f"briefs/{newest.pk}/activate/")
    assert Brief.objects.get(is_active=True) == newest


def test_a_refused_brief_keeps_what_was_typed(admin: Client, project: Project) -> None:
    brief = brief_make(project, "rule", "Be brief.")
    other = brief_make(project, "rule", "Be kind.")
    page = post(admin, "briefs/add/", kind="rule", name=brief.name, text="A page of words.")
    assert "Nothing was saved." in page
    assert re.search(r"brief_name_taken[^§]*>\s*A page of words\.</textarea>", page)
    assert '<details class="panel" open>' in page
    too_long = "x" * 4_001
    page = post(admin, f"briefs/{brief.pk}/", text=too_long)
    assert "at most 4000 characters" in page
    texts = re.findall(r"<textarea name=.text.[^>]*id=.brief-(\d+)-text.[^>]*>\s*([^<]*)<", page)
    assert dict(texts) == {str(brief.pk): too_long, str(other.pk): "Be kind."}
    assert list(project.briefs.values_list("text", flat=True)) == ["Be brief.", "Be kind."]


def test_the_address_of_a_form_leads_to_its_page(admin: Client, project: Project) -> None:
    """Who changes the language there, or logs in anew, comes to it without the form."""
    brief = brief_make(project)
    for path in ("briefs/add/", f"briefs/{brief.pk}/"):
        answer = admin.get(f"/projects/project/{path}")
        assert (answer.status_code, answer.headers["Location"]) == (
            302,
            "/projects/project/briefs/",
        )
    assert admin.delete("/projects/project/briefs/add/").status_code == 405


def test_refused_guidelines_are_still_there(
    admin: Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**fields: object) -> None:
        raise InvalidInput("The guidelines are not good enough.")

    monkeypatch.setattr("frontend.views.guidelines.project_update", refuse)
    page = post(admin, "guidelines/", guidelines="Hours of work.")
    assert "The guidelines are not good enough. (invalid_input)" in page
    assert re.search(r">\s*Hours of work\.</textarea>", page)


def test_a_brief_of_another_project_is_not_found(admin: Client, alice: User) -> None:
    other = Project.objects.create(slug="other", name="Other")
    brief = brief_create(project=other, actor=alice, kind="topic", name="Ferns", text="Ferns.")
    for page in (f"briefs/{brief.pk}/", f"briefs/{brief.pk}/deactivate/"):
        answer = admin.post(f"/projects/project/{page}", {"text": "Mine."})
        assert answer.status_code == 404
    brief.refresh_from_db()
    assert (brief.text, brief.is_active) == ("Ferns.", True)


def flag_rows(*flags: tuple[str, str]) -> dict[str, str]:
    sent = {"form-TOTAL_FORMS": str(len(flags)), "form-INITIAL_FORMS": "0"}
    for index, (name, question) in enumerate(flags):
        sent |= {f"form-{index}-name": name, f"form-{index}-question": question}
    return sent


def test_flags_are_versions(admin: Client, project: Project) -> None:
    page = text_of(admin, "flags/")
    assert page.count("Does it make up facts?") == 2, "in a row and in the history"
    page = post(admin, "flags/", **flag_rows(("rude", "Is it rude?"), ("", ""), ("", "")))
    assert "Version 2 is in force." in page
    assert FlagSchema.objects.latest("version").flags == [
        {"name": "rude", "question": "Is it rude?"}
    ]
    page = post(admin, "flags/", **flag_rows(("Rude!", "Is it rude?")))
    assert "flag_schema_invalid" in page
    assert 'value="Rude!"' in page, "what was typed is still there"
    assert FlagSchema.objects.count() == 2


def test_a_report_is_read_and_marked(admin: Client, bob: User, project: Project) -> None:
    ranking_task_make(project)
    held = claim_make(project, bob)
    report_create(assignment_id=held.pk, reporter=bob, kind="content", text="<b>Cruel</b>")
    raw = admin.get("/projects/project/reports/").content.decode()
    assert "&lt;b&gt;Cruel&lt;/b&gt;" in raw
    assert "Open (1)" in raw
    report = Report.objects.get()
    page = post(admin, f"reports/{report.pk}/resolve/")
    assert "Open (0)" in page
    assert "Nothing waits." in page
    assert "looked at by alice" in text_of(admin, "reports/?state=resolved")
    held.refresh_from_db()
    assert held.status == AssignmentStatus.ACTIVE


def test_a_report_shows_what_its_labeler_saw(admin: Client, bob: User, project: Project) -> None:
    task = ranking_task_make(project, num_completions=2)
    Completion.objects.update(text="<script>alert(1)</script>")
    held = claim_make(project, bob)
    last = held.shown_order[-1]
    Completion.objects.filter(pk=last).update(text="The cruel one.")
    report_create(assignment_id=held.pk, reporter=bob, kind="content", text="B is cruel")
    raw = admin.get("/projects/project/reports/").content.decode()
    assert "Answer A</h3>" in raw
    assert re.search(r'Answer B</h3>\s*<div class="prose" dir="auto">The cruel one\.<', raw)
    assert task.the_prompt.text_last in unescape(raw)
    assert "<script>alert" not in raw


def test_a_report_shows_the_conversation(admin: Client, bob: User, project: Project) -> None:
    held = talk_begin(project, bob, "red_team")
    first = exchange_make(held, "Hello?")
    exchange_make(held, "And then?", parent=first)
    exchange_make(held, "Or else?", parent=first)
    report_create(assignment_id=held.pk, reporter=bob, kind="content", text="Upsetting")
    page = text_of(admin, "reports/")
    turns = ["Turn 1", "Turn 2, after turn 1", "Turn 3, after turn 1"]
    assert re.findall(r"<h3>(Turn [^<]*)</h3>", page) == turns
    assert page.count("Chosen") == page.count("Most harmful") == 3
    chosen = "AB"[first.shown_order.index(first.chosen_id)]
    assert f'Reply {chosen} <span class="tag good">Chosen</span>' in page
    for text in (held.task.brief.text, "Hello?", "And then?", "Or else?"):
        assert text in page
    for reply in Completion.objects.filter(prompt__conversation_turns__isnull=False):
        assert reply.text in page


@pytest.mark.parametrize("page", PAGES)
def test_labelers_see_none_of_these_pages(page: str, admin: Client, bob: User) -> None:
    assert admin.get(f"/projects/project/{page}").status_code == 200
    assert client_of(bob).get(f"/projects/project/{page}").status_code == 403


def test_reviewers_read_reports_alone(project: Project, admin: Client) -> None:
    carol = labeler_make(project, "carol")
    carol.memberships.update(role="reviewer")
    seen = {page: client_of(carol).get(f"/projects/project/{page}").status_code for page in PAGES}
    assert seen == {"briefs/": 403, "guidelines/": 403, "flags/": 403, "reports/": 200}


def test_my_work_says_what_stands_before_it(bob: User, project: Project) -> None:
    brief_make(project, "goal")
    options = {"red_team": {"per_day": 1}}
    project_update(
        actor=None, project=project, kinds=["red_team"], targets={"red_team": 2}, options=options
    )
    client = client_of(bob)
    assert "Read the warning" in client.get("/").content.decode()
    consent_give(project=project, user=bob, kind="red_team")
    page = client.get("/").content.decode()
    assert "Start an attack" in page
    assert "I no longer want to do this work" in page
    held = claim_make(project, bob, "red_team")
    exchange_make(held)
    assignment_submit(assignment_id=held.pk, annotator=bob, payload={"attack_success": 1})
    page = client.get("/").content.decode()
    assert "it opens again in 23" in page
    assert "Start an attack" not in page
    client.post("/projects/project/work/red_team/stop/")
    assert "Read the warning" not in client.get("/").content.decode()
