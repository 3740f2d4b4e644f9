from typing import Any

from django.contrib.auth.models import User
from django.db.models import Model

from annotation.models import AuditEvent, Project


def audit_record(
    *, actor: User | None, verb: str, target: Model, project: Project | None = None, **data: Any
) -> AuditEvent:
    """Adds one event; call it inside the transaction of the act itself.

    ``verb`` reads "object:verb" ("ranking:submitted"). ``actor`` is None when the system acted.
    """
    return AuditEvent.objects.create(
        actor=actor,
        project=project,
        verb=verb,
        object_type=target._meta.label_lower,
        object_id=str(target.pk),
        data=data,
    )
