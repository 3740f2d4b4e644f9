"""An AI's revision becomes a demonstration when a person says so, and only then."""

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.choices import RevisionStatus
from annotation.errors import Conflict
from annotation.models import AIRevision
from annotation.services.audit import audit_record


class RevisionDecided(Conflict):
    """Somebody decided about it before. `extra`: status."""

    code = "revision_decided"


def revision_approve(*, revision: AIRevision, actor: User) -> AIRevision:
    """From the next snapshot on it is a demonstration. Raises RevisionDecided."""
    return _decide(revision, actor, RevisionStatus.APPROVED)


def revision_refuse(*, revision: AIRevision, actor: User) -> AIRevision:
    """It is kept and never learned from. Raises RevisionDecided."""
    return _decide(revision, actor, RevisionStatus.REFUSED)


@transaction.atomic
def _decide(revision: AIRevision, actor: User, status: RevisionStatus) -> AIRevision:
    changed = AIRevision.objects.filter(pk=revision.pk, status=RevisionStatus.WAITING).update(
        status=status, decided_by=actor, decided_at=timezone.now()
    )
    revision.refresh_from_db()
    if not changed:
        raise RevisionDecided(
            f"Revision {revision.pk} is {revision.status} already; the first decision stands.",
            status=revision.status,
        )
    audit_record(
        actor=actor,
        verb=f"revision:{status.value}",
        target=revision,
        project=revision.prompt.project,
    )
    return revision
