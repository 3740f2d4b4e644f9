"""Principles keep every text they had; revisions wait for a person."""

import pytest
from django.contrib.auth import authenticate
from django.db import IntegrityError, transaction

from annotation.errors import InvalidInput, NotFound
from annotation.models import AuditEvent, PrincipleVersion
from annotation.selectors.principles import principle_get, principle_versions_active
from annotation.services.principles import (
    PrincipleNameTaken,
    principle_create,
    principle_update,
)
from annotation.services.revisions import RevisionDecided, revision_approve, revision_refuse
from tests.factories import (
    ai_judgement_make,
    ai_labeler_make,
    ai_revision_make,
    completion_make,
    principle_make,
    project_make,
    prompt_make,
)

pytestmark = pytest.mark.django_db


def test_an_edit_adds_a_version_and_keeps_the_old_text(project, alice):
    principle = principle_make(project, "Be kind.")
    old = principle.version
    principle_update(principle=principle, actor=alice, text="Be very kind.")
    principle = principle_get(project, principle.pk)
    assert (principle.text, principle.version.number) == ("Be very kind.", 2)
    assert principle.version.author == alice
    assert PrincipleVersion.objects.get(pk=old.pk).text == "Be kind."
    assert old.text_hash != principle.version.text_hash
    assert AuditEvent.objects.filter(verb="principle:updated", actor=alice).count() == 1


def test_the_same_text_is_no_new_version(project, alice):
    principle = principle_make(project, "Be kind.")
    principle_update(principle=principle, actor=alice, text=" Be kind. ", position=4)
    principle.refresh_from_db()
    assert (principle.version.number, principle.position) == (1, 4)


def test_a_version_cannot_be_changed(project):
    version = principle_make(project).version
    version.text = "Be rude."
    with pytest.raises(TypeError, match="history"):
        version.save()


def test_only_active_principles_are_asked_about_in_their_order(project, alice):
    first, second, third = (principle_make(project, f"Text {n}.") for n in range(3))
    principle_update(principle=third, actor=alice, position=0)
    principle_update(principle=first, actor=alice, position=1)
    principle_update(principle=second, actor=alice, is_active=False)
    asked = [version.text for version in principle_versions_active(project)]
    assert asked == ["Text 2.", "Text 0."]


def test_names_are_taken_once_per_project(project, alice):
    principle_make(project, name="kind")
    with pytest.raises(PrincipleNameTaken):
        principle_create(project=project, actor=alice, name="kind", text="Other.")
    principle_make(project_make(), name="kind")


@pytest.mark.parametrize("text", ["", "  ", "x" * 2001, "a\x00b"])
def test_texts_that_say_nothing_or_cannot_be_stored_are_refused(project, alice, text):
    with pytest.raises(InvalidInput):
        principle_create(project=project, actor=alice, name="name", text=text)
    assert PrincipleVersion.objects.count() == 0


def test_an_ai_labeler_cannot_log_in(project):
    user = ai_labeler_make(project).user
    user.set_password("correct horse")
    user.save()
    assert authenticate(username=user.username, password="correct horse") is None


def test_a_pair_is_judged_once_in_a_setting_and_in_one_order(project):
    labeler, prompt = ai_labeler_make(project), prompt_make(project)
    first, second = completion_make(prompt), completion_make(prompt)
    judgement = ai_judgement_make(labeler, first, second, 0.7)
    with pytest.raises(IntegrityError), transaction.atomic():
        ai_judgement_make(labeler, second, first, 0.3)
    judgement.pk, judgement.setting_hash = None, "another"
    judgement.first, judgement.second = second, first
    with pytest.raises(IntegrityError), transaction.atomic():
        judgement.save(force_insert=True)


def test_the_first_decision_about_a_revision_stands(project, alice):
    revision = ai_revision_make(ai_labeler_make(project), prompt_make(project))
    assert revision.status == "waiting"
    revision_approve(revision=revision, actor=alice)
    assert (revision.status, revision.decided_by) == ("approved", alice)
    with pytest.raises(RevisionDecided):
        revision_refuse(revision=revision, actor=alice)
    assert revision.status == "approved"
    event = AuditEvent.objects.get(verb="revision:approved")
    assert event.project == project


def test_principles_of_other_projects_are_not_found(project):
    with pytest.raises(NotFound):
        principle_get(project, principle_make(project_make()).pk)
