"""AI labelers: who judges besides people, kept apart from them, and when their word counts."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotation.choices import AILabelerKind
from annotation.errors import InvalidInput
from annotation.models import AILabeler, Project
from annotation.services.audit import audit_record
from annotation.services.locks import project_lock
from annotation.services.saving import save_changed, save_new
from annotation.validation import json_object_check
from training.algorithms.configs import ConfigError
from training.errors import AIAgreementTooLow, AILabelerNameTaken, ConfigInvalid
from training.models import Checkpoint
from training.selectors.ai_feedback import (
    CHECKPOINT_ID,
    ai_labeler_status,
    judge_checkpoints,
    judge_config,
)

EDITABLE = frozenset({"name", "config", "is_active", "counts", "min_agreement", "weight"})


@transaction.atomic
def ai_labeler_create(
    *, project: Project, actor: User | None, name: str, kind: str, **fields: Any
) -> AILabeler:
    """Makes the labeler and its account, which has no password and is not active.

    Its judgements do not count before their agreement is measured and `counts` is switched on.
    Raises AILabelerNameTaken, ConfigInvalid, InvalidInput.
    """
    _known_fields_require(set(fields), EDITABLE - {"counts"})
    project_lock(project.pk)
    _name_check(project, name)
    labeler = AILabeler(project=project, name=name, kind=kind, **fields)
    _config_check(labeler)
    labeler.user = User.objects.create_user(_username(project), is_active=False)
    save_new(labeler)
    audit_record(actor=actor, verb="ai_labeler:created", target=labeler, project=project, name=name)
    return labeler


@transaction.atomic
def ai_labeler_update(*, labeler: AILabeler, actor: User | None, **fields: Any) -> AILabeler:
    """Changes the given fields; `counts` can be switched on only when the agreement allows it.

    A new config begins a new setting, whose agreement is not measured yet. Raises
    AIAgreementTooLow, AILabelerNameTaken, ConfigInvalid, InvalidInput.
    """
    _known_fields_require(set(fields), EDITABLE)
    labeler = (
        AILabeler.objects.select_for_update(of=("self",))
        .select_related("project")
        .get(pk=labeler.pk)
    )
    if fields.get("name", labeler.name) != labeler.name:
        _name_check(labeler.project, fields["name"])
    changed = save_changed(labeler, **fields)
    _config_check(labeler)
    if "counts" in changed and labeler.counts:
        refusal = ai_labeler_status(labeler).refusal
        if refusal is not None:
            raise AIAgreementTooLow(f"{labeler.name} cannot count. {refusal}")
    if changed:
        audit_record(
            actor=actor,
            verb="ai_labeler:updated",
            target=labeler,
            project=labeler.project,
            fields={name: fields[name] for name in changed},
        )
    return labeler


def judge_checkpoint_get(labeler: AILabeler) -> Checkpoint | None:
    """The model that judges in a worker; None for a server. Raises ConfigInvalid."""
    if labeler.kind == AILabelerKind.ENDPOINT:
        return None
    pk = labeler.config.get(CHECKPOINT_ID)
    usable = judge_checkpoints(labeler.project)
    found = usable.filter(pk=pk).first() if type(pk) is int else None
    if found is None:
        raise _config_refused(CHECKPOINT_ID, pk, "the id of a policy, SFT or base checkpoint")
    return found


def _config_check(labeler: AILabeler) -> None:
    """Raises ConfigInvalid, InvalidInput."""
    config = json_object_check(labeler.config, name="config")
    try:
        resolved = judge_config(labeler)
    except ConfigError as error:
        raise ConfigInvalid(f"ai_feedback: {error.message}", **error.extra) from None
    is_server = labeler.kind == AILabelerKind.ENDPOINT
    if is_server and resolved.server_url is None:
        raise _config_refused("server_url", None, "the address of a server")
    if is_server and CHECKPOINT_ID in config:
        raise _config_refused(CHECKPOINT_ID, config[CHECKPOINT_ID], "none for a server")
    if not is_server and resolved.server_url is not None:
        raise _config_refused("server_url", resolved.server_url, "none for a checkpoint")
    judge_checkpoint_get(labeler)


def _config_refused(field: str, value: Any, expectation: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"ai_feedback: {field} = {value!r}: expected {expectation}.",
        field=field,
        value=value,
        expectation=expectation,
    )


def _known_fields_require(names: set[str], known: frozenset[str]) -> None:
    if unknown := sorted(names - known):
        raise InvalidInput(
            f"An AI labeler has no field {', '.join(unknown)} that can be set; there are: "
            f"{', '.join(sorted(known))}.",
            fields={name: ["Unknown field."] for name in unknown},
        )


def _name_check(project: Project, name: str) -> None:
    if AILabeler.objects.filter(project=project, name=name).exists():
        raise AILabelerNameTaken(
            f"{project.slug} has an AI labeler {name!r} already; choose another name.", name=name
        )


def _username(project: Project) -> str:
    """A name no person has: people's may hold no colon."""
    number = AILabeler.objects.filter(project=project).count() + 1
    return f"ai:{project.slug}:{number}"
