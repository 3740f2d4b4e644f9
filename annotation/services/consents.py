"""Work that may upset people: with their consent only, and no more than the project allows."""

from collections.abc import Collection
from datetime import datetime

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
from annotation.services.saving import save_changed


class ConsentNeeded(Conflict):
    """`extra`: kind, warning."""

    code = "consent_needed"


class ExposureCapReached(Conflict):
    """`extra`: kind, maximum, retry_at."""

    code = "exposure_cap_reached"


def kinds_consented(
    project: Project, annotator: User, kinds: Collection[str], *, asked: str | None = None
) -> list[str]:
    """Of these kinds, those the person may hold: the harmless ones, and what they agreed to.

    Needs a transaction. Locks the consents until its end, before any task's lock: meanwhile none
    is withdrawn, and the person takes no second task of such a kind in another tab. Raises
    ConsentNeeded when the one kind they asked for is not among them.
    """
    warned = [kind for kind in kinds if kind_get(kind).needs_consent]
    agreed = {consent.kind for consent in _consents_lock(project, annotator, warned)}
    if asked in warned and asked not in agreed:
        raise _consent_needed(project, asked)
    return [kind for kind in kinds if kind not in warned or kind in agreed]


def kinds_uncapped(
    project: Project, annotator: User, kinds: Collection[str], *, asked: str | None
) -> list[str]:
    """Of these kinds, those the person may be given one more of now.

    Exact under the locks of kinds_consented. Raises ExposureCapReached when the one kind they
    asked for is not among them.
    """
    if not any(kind_get(kind).needs_consent for kind in kinds):
        return list(kinds)
    limits = work_limits(user=annotator, projects=[project], with_held=True)
    capped = {
        kind: until
        for kind in kinds
        if (until := limits.get((project.pk, kind), WorkLimit()).capped_until)
    }
    if asked in capped:
        raise _cap_reached(project, asked, capped[asked])
    return [kind for kind in kinds if kind not in capped]


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
    # Whoever is claiming holds the lock: what they took by then is found below.
    for consent in _consents_lock(project, user, [kind]):
        save_changed(consent, withdrawn_at=timezone.now())
        num_withdrawn = assignments_withdraw(project=project, annotator=user, kind=kind)
        audit_record(
            actor=user,
            verb="consent:withdrawn",
            target=consent,
            project=project,
            kind=kind,
            assignments_withdrawn=num_withdrawn,
        )


def _consents_lock(project: Project, user: User, kinds: Collection[str]) -> list[Consent]:
    if not kinds:
        return []
    consents = consent_list(user=user, projects=[project]).filter(kind__in=kinds)
    return list(consents.select_for_update(no_key=True).order_by("pk"))


def _consent_needed(project: Project, kind: str) -> ConsentNeeded:
    return ConsentNeeded(
        f"Work of the kind {kind} in {project.slug} may upset you. Read the warning and agree "
        "to it first, or choose other work.",
        kind=kind,
        warning=str(kind_get(kind).options(project)["warning"]),
    )


def _cap_reached(project: Project, kind: str, until: datetime) -> ExposureCapReached:
    per_day = kind_get(kind).options(project)["per_day"]
    return ExposureCapReached(
        f"You had {per_day} of the kind {kind} within 24 hours, as many as {project.slug} gives "
        f"anyone. You can go on from {until:%Y-%m-%d %H:%M} UTC; do something else until then.",
        kind=kind,
        maximum=per_day,
        retry_at=until.isoformat(),
    )


def _warned_check(project: Project, kind: str) -> None:
    if not kind_get(kind).needs_consent or kind not in project.kinds:
        raise InvalidInput(
            f"{project.slug} has no work of the kind {kind} that asks for consent.", kind=kind
        )
