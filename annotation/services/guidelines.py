from django.contrib.auth.models import User

from annotation.models import GuidelinesVersion, Project
from annotation.selectors.guidelines import guidelines_get
from annotation.services.saving import save_new


def guidelines_publish(*, project: Project, author: User | None) -> GuidelinesVersion | None:
    """Makes the project's present text the version in force; the same text stays one version.

    Needs the project's lock. Returns the version in force: None while there never was a text.
    """
    latest = guidelines_get(project)
    if project.guidelines == (latest.text if latest else ""):
        return latest
    number = latest.number + 1 if latest else 1
    return save_new(
        GuidelinesVersion(project=project, number=number, text=project.guidelines, author=author)
    )
