from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from annotation.services.tokens import token_create


class Command(BaseCommand):
    help = "Makes an API token for a user and prints it, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--days", type=int, help="Days until it expires (default: never).")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        days = options["days"]
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        _, text = token_create(user=user, name=options["name"], expires_at=expires_at)
        self.stdout.write(text)
