from django.db.models import QuerySet

from annotation.errors import NotFound
from annotation.models import AIRevision, Principle, PrincipleVersion, Project


def principle_list(project: Project) -> QuerySet[Principle]:
    """In the project's order, with their versions."""
    return Principle.objects.filter(project=project).prefetch_related("versions")


def principle_versions_active(project: Project) -> list[PrincipleVersion]:
    """The texts that are asked about now, in the project's order."""
    return [principle.version for principle in principle_list(project).filter(is_active=True)]


def principle_get(project: Project, principle_id: int) -> Principle:
    """Raises NotFound."""
    principle = principle_list(project).filter(pk=principle_id).first()
    if principle is None:
        raise NotFound(f"{project.slug} has no principle {principle_id}.")
    return principle


def revision_list(project: Project, status: str | None = None) -> QuerySet[AIRevision]:
    """What AI labelers rewrote, oldest first; all or those of one RevisionStatus."""
    revisions = AIRevision.objects.filter(prompt__project=project).select_related(
        "prompt", "ai_labeler", "principle__principle", "decided_by"
    )
    return revisions if status is None else revisions.filter(status=status)


def revision_get(project: Project, revision_id: int) -> AIRevision:
    """Raises NotFound."""
    revision = revision_list(project).filter(pk=revision_id).first()
    if revision is None:
        raise NotFound(f"{project.slug} has no revision {revision_id}.")
    return revision
