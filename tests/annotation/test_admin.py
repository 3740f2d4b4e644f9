import pytest
from django.contrib import admin
from django.test import Client

from annotation import models
from annotation.models import AuditEvent, Membership, Project, Task
from annotation.services.exclusions import labeler_exclude
from annotation.services.tokens import token_create
from tests.factories import (
    ai_judgement_make,
    ai_labeler_make,
    ai_revision_make,
    completion_make,
    demonstration_make,
    prompt_make,
    ranking_make,
    thumb_make,
    user_make,
)

pytestmark = pytest.mark.django_db

TABLES = [name.lower() for name in models.__all__ if name not in {"TaskCompletion", "RankingItem"}]
EDITABLE = {"project", "membership", "prompt"}


@pytest.fixture
def root():
    return user_make("root", is_staff=True, is_superuser=True)


@pytest.fixture
def client(root):
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def rows(project, bob, alice):
    ranking_make(project, bob)
    demonstration_make(project, bob)
    thumb_make(project, bob)
    token_create(user=alice, name="laptop")
    labeler = ai_labeler_make(project)
    prompt = prompt_make(project)
    ai_judgement_make(labeler, completion_make(prompt), completion_make(prompt), 0.7)
    ai_revision_make(labeler, prompt)
    workbench_rows(project, bob)
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")


def workbench_rows(project, bob):
    """One row of each table that the kinds beyond writing and ranking fill."""
    ranking = ranking_make(project, bob)
    completion = ranking.items.first().completion
    schema = models.FlagSchema.objects.create(project=project, version=1, flags=[])
    models.CompletionRating.objects.create(
        ranking=ranking, completion=completion, schema=schema, overall=4
    )
    models.ComparisonDimension.objects.create(ranking=ranking, name="helpful")
    models.Brief.objects.create(project=project, kind="rule", name="Kind", text="Be kind.")
    models.GuidelinesVersion.objects.create(project=project, number=1, text="Be fair.")
    models.Consent.objects.create(project=project, user=bob, kind="red_team")
    assignment = ranking.assignment
    models.Report.objects.create(
        project=project, assignment=assignment, reporter=bob, kind="problem", text="It is blank."
    )
    models.WrittenPrompt.objects.create(
        assignment=assignment, annotator=bob, prompt=ranking.prompt, form="plain"
    )
    models.EvidenceMark.objects.create(
        assignment=assignment,
        task=ranking.task,
        prompt=ranking.prompt,
        annotator=bob,
        completion=completion,
        is_supported=True,
    )
    turn = models.Turn.objects.create(assignment=assignment, prompt=ranking.prompt)
    models.Conversation.objects.create(assignment=assignment, annotator=bob, last_turn=turn)


def test_every_table_is_in_the_admin():
    registered = {model._meta.model_name for model in admin.site._registry}
    assert set(TABLES) <= registered


@pytest.mark.parametrize("table", TABLES)
def test_lists_and_rows_open(client, rows, table):
    row = getattr(models, next(n for n in models.__all__ if n.lower() == table)).objects.first()
    assert client.get(f"/admin/annotation/{table}/").status_code == 200
    page = client.get(f"/admin/annotation/{table}/{row.pk}/change/")
    assert page.status_code == 200
    assert (b'name="_save"' in page.content) == (table in EDITABLE)


@pytest.mark.parametrize("table", sorted(set(TABLES) - EDITABLE))
def test_history_cannot_be_added_changed_or_deleted(client, rows, table):
    row = getattr(models, next(n for n in models.__all__ if n.lower() == table)).objects.first()
    address = f"/admin/annotation/{table}/"
    for path in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
        assert client.post(address + path, {"post": "yes"}).status_code == 403


def form_of(project, **values):
    names = [field.name for field in Project._meta.fields if field.editable and field.name != "id"]
    fields = {name: getattr(project, name) for name in names}
    stored = {"kinds": '["ranking", "demonstration"]', "targets": "{}", "options": "{}"}
    return fields | stored | {"is_active": "on"} | values


def test_a_projects_form_goes_through_the_service(client, project, root):
    prompt_make(project)
    address = f"/admin/annotation/project/{project.pk}/change/"
    bad = client.post(address, form_of(project, kinds='["divination"]'))
    assert b"There is no kind of judgement" in bad.content
    client.post(address, form_of(project, demonstrations_target=1))
    event = AuditEvent.objects.get(verb="project:updated")
    assert (event.actor, event.data["fields"]["demonstrations_target"]) == (root, 1)
    assert Task.objects.filter(kind="demonstration").count() == 1
    client.post("/admin/annotation/project/add/", form_of(project, slug="second"))
    assert Project.objects.filter(slug="second").exists()


@pytest.mark.parametrize("name", ["kinds", "targets", "options"])
@pytest.mark.parametrize(
    "value",
    [
        '{"nonsense": 1}',
        '{"comparison": {"levels": 99}}',
        '{"comparison": 1}',
        "[1]",
        '[["ranking"]]',
        '["a\\u0000"]',
        '{"comparison": "a\\u0000"}',
        '["\\ud800"]',
        "[NaN]",
    ],
)
def test_a_projects_form_names_what_it_refuses(client, project, name, value):
    address = f"/admin/annotation/project/{project.pk}/change/"
    refused = client.post(address, form_of(project, **{name: value}))
    assert refused.status_code == 200
    assert refused.context["adminform"].form.errors.keys() == {name}
    assert not AuditEvent.objects.filter(verb="project:updated").exists()


def test_members_edited_by_hand_are_audited(client, project, charlie, root):
    client.post(
        "/admin/annotation/membership/add/",
        {"project": project.pk, "user": charlie.pk, "role": "labeler"},
    )
    membership = Membership.objects.get(user=charlie)
    client.post(f"/admin/annotation/membership/{membership.pk}/delete/", {"post": "yes"})
    assert not Membership.objects.filter(user=charlie).exists()
    verbs = AuditEvent.objects.filter(actor=root).order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["membership:added", "membership:deleted"]
