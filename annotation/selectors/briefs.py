from django.db.models import QuerySet

from annotation.choices import BriefKind
from annotation.errors import InvalidInput, NotFound
from annotation.models import Brief, Project


def brief_list(project: Project, kind: str | None = None) -> QuerySet[Brief]:
    """Every version, by kind and name, the oldest first; all or those of one BriefKind.

    Raises InvalidInput for a kind of brief that there is not.
    """
    briefs = Brief.objects.filter(project=project).order_by("kind", "name", "version")
    return briefs if kind is None else briefs.filter(kind=brief_kind_check(kind))


def brief_get(project: Project, brief_id: int) -> Brief:
    """Raises NotFound."""
    brief = Brief.objects.filter(project=project, pk=brief_id).first()
    if brief is None:
        raise NotFound(f"{project.slug} has no brief {brief_id}.")
    return brief


def brief_kind_check(kind: str) -> BriefKind:
    """Raises InvalidInput."""
    if kind not in BriefKind.values:
        raise InvalidInput(
            f"kind is {kind[:60]!r}; one of {', '.join(BriefKind.values)} is expected.",
            fields={"kind": ["Unknown."]},
        )
    return BriefKind(kind)
