"""Objects of the training side, reached only through the project they belong to."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from annotation.choices import Role
from annotation.errors import NotFound
from annotation.selectors.access import Visitor, role_require
from training.models import Round, Run

RowT = TypeVar("RowT", bound=Model)


def round_get_for(*, user: Visitor, round_id: int, role: Role = Role.REVIEWER) -> Round:
    """Raises NotFound for strangers and PermissionDenied for too low a role."""
    return _checked(Round.objects.select_related("project"), "round", round_id, user, role)


def run_get_for(*, user: Visitor, run_id: int, role: Role = Role.REVIEWER) -> Run:
    """Raises NotFound for strangers and PermissionDenied for too low a role."""
    return _checked(Run.objects.select_related("project"), "run", run_id, user, role)


def _checked(rows: QuerySet[RowT], noun: str, pk: int, user: Visitor, role: Role) -> RowT:
    row = rows.filter(pk=pk).first()
    refusal = NotFound(f"There is no {noun} {pk}.")
    if row is None:
        raise refusal
    try:
        role_require(user=user, project=row.project, role=role)  # type: ignore[attr-defined]
    except NotFound:
        # The same words as for a number that does not exist: a stranger learns nothing.
        raise refusal from None
    return row
