from django.db.models import QuerySet

from annotation.models import FlagSchema, Project


def flag_schema_list(project: Project) -> QuerySet[FlagSchema]:
    """Every version, the newest first."""
    return FlagSchema.objects.filter(project=project).order_by("-version")


def flag_schema_find(project: Project, version: int) -> FlagSchema | None:
    return flag_schema_list(project).filter(version=version).first()
