"""Work that may upset people: with their consent only, and no more than the project allows."""

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotation.errors import Conflict, InvalidInput
from annotation.judgements import kind_get
from annotation.models import Consent, Project
from annotation.selectors.access import role_require
from annotation.selectors.consents import WorkLimit, consent_list, work_limits
from annotation.services.audit import audit_record
from annotation.services.leases import assignments_withdraw


class ConsentNeeded(Conflict):
    """`extra`: kind, warning."""

    code = "consent_needed"


class ExposureCapReached(Conflict):
    """`extra`: kind, maximum, retry_at."""

    code = "exposure_cap_reached"


def kinds_allowed(
    project: Project, annotator: User, kinds: Collection[str], *, asked: str | None
) -> list[str]:
    """Of these kinds, those the person may be given work of now.

    Raises ConsentNeeded or ExposureCapReached when the one kind they asked for is not among them.
    """
    limits = work_limits(user=annotator, projects=[project])
    allowed = [kind for kind in kinds if limits.get((project.pk, kind), WorkLimit()).is_free]
    if asked is not None and asked not in allowed:
        raise _refusal(project, asked, limits[project.pk, asked])
    return allowed


@transaction.atomic
def consent_give(*, project: Project, user: User, kind: str) -> Consent:
    """The person agrees to the kind's content warning. Agreeing twice is agreeing once.

    Raises NotFound for a non-member, UnknownKind, InvalidInput for a kind without a warning.
    """
    role_require(user=user, project=project)
    _warned_check(project, kind)
    consent, is_new = Consent.objects.get_or_create(
        project=project, user=user, kind=kind, withdrawn_at=None
    )
    if is_new:
        audit_record(actor=user, verb="consent:given", target=consent, project=project, kind=kind)
    return consent


@transaction.atomic
def consent_withdraw(*, project: Project, user: User, kind: str) -> None:
    """The person no longer agrees: what they hold of the kind is taken back, drafts stay.

    Without a consent in force nothing changes. Raises as consent_give does.
    """
    role_require(user=user, project=project)
    _warned_check(project, kind)
    consent = consent_list(user=user, projects=[project]).filter(kind=kind).first()
    if consent is None:
        return
    ended = Consent.objects.filter(pk=consent.pk, withdrawn_at__isnull=True).update(
        withdrawn_at=timezone.now()
    )
    if ended:
        num_withdrawn = assignments_withdraw(project=project, annotator=user, kind=kind)
        audit_record(
            actor=user,
            verb="consent:withdrawn",
            target=consent,
            project=project,
            kind=kind,
            assignments_withdrawn=num_withdrawn,
        )


def _refusal(project: Project, kind: str, limit: WorkLimit) -> Conflict:
    options = kind_get(kind).options(project)
    if limit.needs_consent:
        return ConsentNeeded(
            f"Work of the kind {kind} in {project.slug} may upset you. Read the warning and agree "
            "to it first, or choose other work.",
            kind=kind,
            warning=str(options["warning"]),
        )
    assert limit.capped_until is not None, "a kind that is refused is limited"
    return ExposureCapReached(
        f"You handed in {options['per_day']} of the kind {kind} within 24 hours, as many as "
        f"{project.slug} asks of anyone. You can go on from {limit.capped_until:%Y-%m-%d %H:%M} "
        "UTC; do something else until then.",
        kind=kind,
        maximum=options["per_day"],
        retry_at=limit.capped_until.isoformat(),
    )


def _warned_check(project: Project, kind: str) -> None:
    if not kind_get(kind).needs_consent or kind not in project.kinds:
        raise InvalidInput(
            f"{project.slug} has no work of the kind {kind} that asks for consent.", kind=kind
        )
