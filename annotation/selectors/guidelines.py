from django.db.models import QuerySet

from annotation.models import GuidelinesVersion, Project


def guidelines_get(project: Project) -> GuidelinesVersion | None:
    """The version in force; None while the project never had any."""
    return guidelines_list(project).first()


def guidelines_list(project: Project) -> QuerySet[GuidelinesVersion]:
    """Newest first."""
    return GuidelinesVersion.objects.filter(project=project).order_by("-number")
