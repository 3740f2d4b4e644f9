"""What answering a request takes: who answers it, with which settings and seeds. No model here."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from training.algorithms.methods import method_get
from training.errors import NoLivePolicy
from training.models import Checkpoint, LoopSettings, ReplyRequest
from training.seeds import seed_derive
from training.services.base_model import base_model_is_ready
from training.services.checkpoints import reference_checkpoint_get
from training.services.configs import run_config
from training.services.deployments import policies_live
from training.services.settings import loop_settings_ensure

Policies = dict[str, tuple[Checkpoint, float]]
POLICY = "policy"
"""The role of the policy that a project's sampling server serves."""
REFERENCE = "reference"
# The process for replies holds as many (training/algorithms/replying).
MAX_LOADED = 2


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """One reply that is wanted. `is_served`: the project's sampling server has this checkpoint."""

    index: int
    checkpoint: Checkpoint
    is_served: bool


@dataclass(frozen=True, slots=True)
class ReplyJob:
    prompt_id: int
    messages: list[dict[str, str]]
    parts: list[ReplyPart]
    config: dict[str, Any]
    """Of the method that samples answers to be ranked."""
    seed: int
    only_load: bool = False
    """The policies are loaded for whoever asks next, and nothing is written."""


@dataclass(frozen=True, slots=True)
class Reply:
    index: int
    text: str
    num_tokens: int
    finished: bool
    seed: int


Beat = Callable[[float | None], None]
"""Hears the share that is done, 0 to 1, or None: still at it. What it raises ends the work."""
Generate = Callable[[ReplyJob, Beat], list[Reply]]


def reply_policies(settings: LoopSettings) -> Policies:
    """{role: (checkpoint, weight)} of those who answer now: the policies deployed.

    Before the first deployment it is the reference, the latest SFT or else the base model. Raises
    NoLivePolicy while the embedded base model is still being made.
    """
    if live := policies_live(settings.project):
        return live
    reference = reference_checkpoint_get(settings)
    if not base_model_is_ready(reference):
        raise NoLivePolicy(
            f"{settings.project.slug} has no policy that could answer: none is deployed, and the "
            "base model is not ready yet. Try again in a few minutes."
        )
    return {REFERENCE: (reference, 1.0)}


def reply_job(request: ReplyRequest) -> ReplyJob:
    """Raises NoLivePolicy and ConfigInvalid."""
    settings = loop_settings_ensure(project=request.assignment.task.project)
    policies = reply_policies(settings)
    weights = {role: weight for role, (_, weight) in policies.items()}
    roles = roles_draw(weights, request.num_replies, random.Random(request.seed))
    return ReplyJob(
        prompt_id=request.prompt_id,
        messages=request.prompt.messages,
        parts=_parts(policies, roles),
        config=_config(settings),
        seed=request.seed,
    )


def preparing_job(settings: LoopSettings) -> ReplyJob:
    """No reply, but the policies that would write some. Raises as reply_job does."""
    policies = reply_policies(settings)
    return ReplyJob(
        prompt_id=0,
        messages=[],
        parts=_parts(policies, list(policies)[:MAX_LOADED]),
        config=_config(settings),
        seed=0,
        only_load=True,
    )


def _parts(policies: Policies, roles: list[str]) -> list[ReplyPart]:
    return [
        ReplyPart(index, policies[role][0], is_served=role == POLICY)
        for index, role in enumerate(roles)
    ]


def _config(settings: LoopSettings) -> dict[str, Any]:
    return run_config(settings, method_get("sample"))


def reply_seed(settings: LoopSettings, assignment_id: int, prompt_id: int, attempt: int) -> int:
    return seed_derive(settings.seed, "reply", assignment_id, prompt_id, attempt)


def roles_draw(weights: Mapping[str, float], num: int, rng: random.Random) -> list[str]:
    """Who writes each of `num` replies, in random order: different ones as far as there are.

    The first is drawn by the weights, the next by those of the others, and so on.
    """
    left = dict(weights)
    drawn: list[str] = []
    while left and len(drawn) < num:
        (role,) = rng.choices(list(left), list(left.values()))
        drawn.append(role)
        del left[role]
    roles = list(islice(cycle(drawn), num))
    rng.shuffle(roles)
    return roles
