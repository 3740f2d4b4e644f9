"""Taking a person's work out of a project, and letting it back in. No judgement is deleted."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.errors import Conflict
from annotation.models import Exclusion, Project
from annotation.selectors.exclusions import exclusion_get, labeler_get
from annotation.services.audit import audit_record
from annotation.services.leases import assignments_withdraw
from annotation.services.locks import project_lock
from annotation.services.saving import save_changed, save_new
from annotation.validation import reason_check


class LabelerNotExcluded(Conflict):
    code = "labeler_not_excluded"


@transaction.atomic
def labeler_exclude(*, project: Project, user: User, actor: User | None, reason: str) -> Exclusion:
    """From now on the person's judgements do not count and they get no new work here.

    What they hold is withdrawn. Somebody who is excluded already stays so, with the first reason.
    Raises NotFound for a stranger, InvalidInput for a reason that is empty or too long.
    """
    reason = reason_check(reason, of="an exclusion")
    # Two exclusions of one person at once: the second finds the first one's row.
    project_lock(project.pk)
    labeler_get(project, user.pk)
    if earlier := exclusion_get(project, user):
        return earlier
    exclusion = save_new(Exclusion(project=project, user=user, reason=reason, excluded_by=actor))
    num_withdrawn = assignments_withdraw(project=project, annotator=user)
    audit_record(
        actor=actor,
        verb="labeler:excluded",
        target=exclusion,
        project=project,
        user=user.pk,
        reason=reason,
        assignments_withdrawn=num_withdrawn,
    )
    return exclusion


@transaction.atomic
def labeler_readmit(*, project: Project, user: User, actor: User | None) -> Exclusion:
    """The person's judgements count again, and they get work again. Raises LabelerNotExcluded."""
    project_lock(project.pk)
    exclusion = exclusion_get(project, user)
    if exclusion is None:
        raise LabelerNotExcluded(
            f"{user.get_username()} is not excluded from {project.slug}; their work counts.",
            user_id=user.pk,
        )
    save_changed(exclusion, lifted_at=timezone.now(), lifted_by=actor)
    audit_record(
        actor=actor,
        verb="labeler:readmitted",
        target=exclusion,
        project=project,
        user=user.pk,
    )
    return exclusion
