from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from annotation.choices import Role
from annotation.models import Project
from annotation.services.projects import membership_set


class Command(BaseCommand):
    help = "Makes a user a member of a project, or changes the role they have."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="Slug of the project.")
        parser.add_argument("username")
        parser.add_argument("--role", choices=Role.values, default=Role.LABELER.value)

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        user = User.objects.filter(username=options["username"]).first()
        if project is None or user is None:
            missing = "project" if project is None else "username"
            raise CommandError(f"There is no {missing} {options[missing]!r}.")
        membership = membership_set(actor=None, project=project, user=user, role=options["role"])
        self.stdout.write(str(membership))
