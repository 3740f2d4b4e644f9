"""Labelers who work as any program would: with a token, through the public HTTP API.

The requests go to the real addresses, middleware, authentication and throttling included; only
the network is left out.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from annotation.choices import Role
from annotation.models import Project
from annotation.services.projects import membership_set
from annotation.services.tokens import token_create
from training.simulation.labelers import Report
from training.simulation.world.gold import Gold
from training.simulation.world.population import Labeler


class ApiRefused(Exception):
    """The API answered with something else than a labeler can go on with."""


@dataclass(frozen=True, slots=True)
class ApiLabeler:
    """One account and how reliably its owner judges."""

    labeler: Labeler
    client: Client
    project: str

    def work(self, gold: Gold, seed: int) -> bool:
        """Claims one ranking task, judges and submits it; False when there was none.

        What is answered depends on the seed, the labeler and the texts only. Raises ApiRefused.
        """
        claimed = self._post(f"projects/{self.project}/assignments/claim/", {"kind": "ranking"})
        if claimed is None:
            return False
        prompt = claimed["prompt"]["messages"][-1]["content"]
        shown = sorted(claimed["completions"], key=lambda each: (each["text"], each["id"]))
        texts = [each["text"] for each in shown]
        rng = random.Random("\n".join([str(seed), self.labeler.name, prompt, *texts]))
        groups = self.labeler.rank([gold.value(prompt, text) for text in texts], rng)
        order = [[shown[place]["id"] for place in group] for group in groups]
        self._post(f"assignments/{claimed['id']}/submit/", {"order": order})
        return True

    def _post(self, address: str, body: dict[str, Any]) -> Any:
        response = self.client.post(f"/api/v1/{address}", body, content_type="application/json")
        if response.status_code == 204:
            return None
        if response.status_code not in (200, 201):
            raise ApiRefused(f"{address}: {response.status_code} {response.content[:300]!r}")
        return response.json()


def accounts_open(*, project: Project, population: Sequence[Labeler]) -> list[ApiLabeler]:
    """An account, a membership and a token for everybody."""
    opened = []
    for labeler in population:
        user = User(username=labeler.name)
        user.set_unusable_password()
        user.save()
        membership_set(actor=None, project=project, user=user, role=Role.LABELER)
        _, token = token_create(user=user, name="simulation")
        client = Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {token}"})
        opened.append(ApiLabeler(labeler, client, project.slug))
    return opened


def labels_collect(
    labelers: Sequence[ApiLabeler],
    gold: Gold,
    num: int,
    seed: int,
    report: Report = lambda done, total, message: None,
) -> None:
    """`num` rankings in all, by labelers in random turns. Raises ApiRefused when tasks run out."""
    turn = random.Random(f"{seed} turns")
    for done in range(num):
        order = turn.sample(labelers, len(labelers))
        if not any(labeler.work(gold, seed) for labeler in order):
            raise ApiRefused(f"No task is left for anybody after {done} of {num} rankings.")
        report(done + 1, num, "rankings")
