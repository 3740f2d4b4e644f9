from typing import Any

from django.contrib.auth.models import User

from annotation.choices import Role
from annotation.models import Membership
from annotation.selectors.access import project_list


def me_get(user: User) -> dict[str, Any]:
    """The user and their role in each project they may see. Two queries."""
    roles = dict(Membership.objects.filter(user=user).values_list("project_id", "role"))
    if user.is_superuser:
        roles = {}
    return {
        "id": user.pk,
        "username": user.get_username(),
        "is_staff": user.is_staff,
        "projects": [
            {
                "slug": project.slug,
                "name": project.name,
                "role": roles.get(project.pk, Role.ADMIN.value),
            }
            for project in project_list(user=user)
        ],
    }
