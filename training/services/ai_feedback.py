"""Asking AI labelers: which pairs and prompts, as which run, and what its answers become.

A run's question is frozen when it starts (FeedbackRun): the pairs, the exact texts of the
principles, and the setting in which its answers will count.
"""

import dataclasses
import json
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from annotation.models import (
    AIJudgement,
    AILabeler,
    AIRevision,
    Completion,
    PrincipleVersion,
    Project,
)
from annotation.selectors.principles import principle_versions_active
from annotation.selectors.prompts import prompts_askable
from annotation.services.audit import audit_record
from training.algorithms.methods import method_get
from training.choices import FEEDBACK, RUN_ACTIVE, FeedbackPurpose, SamplePurpose
from training.errors import AILabelerInactive, NoPrinciples, NothingToJudge
from training.models import FeedbackRun, LoopSettings, Run, Sample
from training.seeds import seed_derive
from training.selectors.ai_feedback import (
    judge_config,
    judgements_current,
    people_decisions,
    setting_hash,
)
from training.services.ai_labelers import judge_checkpoint_get
from training.services.runs import run_create
from training.services.settings import loop_settings_ensure
from training.services.snapshots import TRAIN, split_of

NUM_DEFAULT = 200
NUM_MAX = 10_000
BATCH = 500
Pair = tuple[int, int]
NOTHING = {
    FeedbackPurpose.MEASURE: "People have decided no pair that it has not judged yet. Collect "
    "rankings.",
    FeedbackPurpose.LABEL: "There is no pair of sampled answers that nobody judged, on prompts "
    "that are trained on. Sample answers first.",
    FeedbackPurpose.REVISE: "It has revised answers to every active prompt that is trained on. "
    "Import prompts.",
}


@transaction.atomic
def feedback_start(
    *, labeler: AILabeler, purpose: str, actor: User | None, num: int = NUM_DEFAULT
) -> Run:
    """Queues a run that asks the labeler about at most `num` pairs, or prompts for "revise".

    Raises AILabelerInactive, NoPrinciples, NothingToJudge, ConfigInvalid.
    """
    # Two starts at once choose one after the other.
    labeler = (
        AILabeler.objects.select_for_update(of=("self",))
        .select_related("project")
        .get(pk=labeler.pk)
    )
    project, purpose = labeler.project, FeedbackPurpose(purpose)
    if not labeler.is_active:
        raise AILabelerInactive(f"{labeler.name} is switched off; switch it on first.")
    versions = principle_versions_active(project)
    if not versions:
        raise NoPrinciples(f"{project.slug} has no active principle to judge by. Write one.")
    settings = loop_settings_ensure(project=project)
    number = Run.objects.filter(project=project, step=FEEDBACK).count()
    seed = seed_derive(settings.seed, FEEDBACK, number)
    rng = random.Random(seed)
    pairs: list[Pair] = []
    prompt_ids: list[int] = []
    if purpose == FeedbackPurpose.REVISE:
        prompt_ids = _sampled(_prompts_unrevised(labeler, settings), num, rng)
    elif purpose == FeedbackPurpose.MEASURE:
        pairs = _sampled(_pairs_decided(labeler), num, rng)
    else:
        pairs = _sampled(_pairs_unjudged(labeler, settings), num, rng)
    if not pairs and not prompt_ids:
        raise NothingToJudge(f"{labeler.name} has nothing to do: {NOTHING[purpose]}")
    checkpoint = judge_checkpoint_get(labeler)
    run = run_create(
        settings=settings,
        step=FEEDBACK,
        method=method_get("revise" if purpose == FeedbackPurpose.REVISE else "ai_feedback"),
        seed=seed,
        parents={} if checkpoint is None else {"judge": checkpoint},
        prompts=[(prompt_id, None) for prompt_id in prompt_ids],
        extra=_config(labeler, purpose),
    )
    FeedbackRun.objects.create(
        run=run,
        ai_labeler=labeler,
        purpose=purpose,
        pairs=[list(pair) for pair in pairs],
        principle_versions=[version.pk for version in versions],
        setting_hash=setting_hash(labeler),
    )
    audit_record(
        actor=actor,
        verb="ai_feedback:started",
        target=run,
        project=project,
        ai_labeler=labeler.pk,
        purpose=purpose.value,
        num=len(pairs) or len(prompt_ids),
    )
    return run


def feedback_records(run: Run, name: str) -> Iterator[dict[str, Any]]:
    """The records of data/pairs.jsonl or data/principles.jsonl of a run."""
    feedback = FeedbackRun.objects.get(run=run)
    if name == "principles":
        versions = PrincipleVersion.objects.in_bulk(feedback.principle_versions)
        for pk in feedback.principle_versions:
            yield {"principle_id": pk, "text": versions[pk].text}
        return
    for start in range(0, len(feedback.pairs), BATCH):
        pairs = feedback.pairs[start : start + BATCH]
        ids = {pk for pair in pairs for pk in pair}
        rows = Completion.objects.select_related("prompt").in_bulk(ids)
        for first, second in pairs:
            prompt = rows[first].prompt
            yield {
                "pair_id": f"{first}-{second}",
                "prompt_id": prompt.pk,
                "prompt": prompt.messages,
                "completions": [rows[first].text, rows[second].text],
            }


def feedback_register(*, run: Run, folder: Path) -> None:
    """Stores what a run's labeler said; nothing for other runs. Safe to repeat."""
    feedback = FeedbackRun.objects.filter(run=run).first()
    if feedback is None:
        return
    if feedback.purpose == FeedbackPurpose.REVISE:
        _revisions_store(feedback, _lines(folder / "revisions.jsonl"))
    else:
        _judgements_store(feedback, _lines(folder / "judgements.jsonl"))


def _judgements_store(feedback: FeedbackRun, lines: Iterator[dict[str, Any]]) -> None:
    versions = PrincipleVersion.objects.in_bulk(feedback.principle_versions)
    firsts = Completion.objects.only("prompt_id").in_bulk([first for first, _ in feedback.pairs])
    rows = []
    for line in lines:
        first, second = map(int, line["pair_id"].split("-"))
        rows.append(
            AIJudgement(
                ai_labeler_id=feedback.ai_labeler_id,
                prompt_id=firsts[first].prompt_id,
                first_id=first,
                second_id=second,
                probability=line["probability"],
                order_gap=line["order_gap"],
                is_hard=line["hard"],
                principles=[
                    {
                        "version": said["principle_id"],
                        "hash": versions[said["principle_id"]].text_hash,
                        "probability": said["probability"],
                        "order_gap": said["order_gap"],
                    }
                    for said in line["principles"]
                ],
                setting_hash=feedback.setting_hash,
                run_id=feedback.run_id,
            )
        )
    AIJudgement.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def _revisions_store(feedback: FeedbackRun, lines: Iterator[dict[str, Any]]) -> None:
    rows = [
        AIRevision(
            ai_labeler_id=feedback.ai_labeler_id,
            prompt_id=line["prompt_id"],
            principle_id=line["principle_id"],
            step=line["step"],
            initial=line["initial"],
            critique=line["critique"],
            revision=line["revision"],
            run_id=feedback.run_id,
        )
        for line in lines
    ]
    AIRevision.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)


def _config(labeler: AILabeler, purpose: FeedbackPurpose) -> dict[str, Any]:
    """All of its hyperparameters, so that no override of the project gets between."""
    config = dataclasses.asdict(judge_config(labeler))
    if purpose == FeedbackPurpose.REVISE:
        return {name: config[name] for name in ("server_url", "server_model")}
    return config


def _pairs_decided(labeler: AILabeler) -> list[Pair]:
    """What people decided and it was not asked in its present setting, on either side."""
    decided = {decision.pair for decision in people_decisions(labeler.project)}
    return sorted(decided - _asked(labeler))


def _pairs_unjudged(labeler: AILabeler, settings: LoopSettings) -> list[Pair]:
    """Of different sampled answers to prompts that are trained on, decided by nobody."""
    prompts = _prompts_trained_on(labeler.project, settings)
    samples = Sample.objects.filter(
        purpose=SamplePurpose.RANKING, completion__prompt__project=labeler.project
    )
    by_prompt: dict[int, list[tuple[int, str]]] = {pk: [] for pk in prompts}
    fields = ("completion__prompt", "completion_id", "completion__text")
    for prompt_id, pk, text in samples.order_by("completion_id").values_list(*fields):
        if prompt_id in by_prompt:
            by_prompt[prompt_id].append((pk, text.strip()))
    known = {decision.pair for decision in people_decisions(labeler.project)} | _asked(labeler)
    return sorted(
        (first, second)
        for own in by_prompt.values()
        for (first, text), (second, other) in combinations(own, 2)
        if text != other and (first, second) not in known
    )


def _asked(labeler: AILabeler) -> set[Pair]:
    """What it has judged in its present setting, or is being asked."""
    asked = set(judgements_current(labeler).values_list("first_id", "second_id"))
    current = _under_way(labeler).filter(setting_hash=setting_hash(labeler))
    for pairs in current.values_list("pairs", flat=True):
        asked.update((first, second) for first, second in pairs)
    return asked


def _under_way(labeler: AILabeler) -> QuerySet[FeedbackRun]:
    return FeedbackRun.objects.filter(ai_labeler=labeler, run__status__in=RUN_ACTIVE)


def _prompts_unrevised(labeler: AILabeler, settings: LoopSettings) -> list[int]:
    """Those trained on to which it revised no answer, nor is revising one."""
    revised = AIRevision.objects.filter(ai_labeler=labeler)
    done = set(revised.values_list("prompt_id", flat=True))
    runs = _under_way(labeler).filter(purpose=FeedbackPurpose.REVISE).select_related("run")
    busy = {pk for feedback in runs for pk in feedback.run.prompt_ids}
    prompts = _prompts_trained_on(labeler.project, settings)
    return [pk for pk in prompts if pk not in busy and pk not in done]


def _prompts_trained_on(project: Project, settings: LoopSettings) -> list[int]:
    rows = prompts_askable(project).select_related("opening").order_by("pk")
    prompts = rows.defer("messages", "opening__messages")
    return [prompt.pk for prompt in prompts if split_of(prompt, settings.held_out_percent) == TRAIN]


def _sampled(items: list[Any], num: int, rng: random.Random) -> list[Any]:
    return items if len(items) <= num else sorted(rng.sample(items, num))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
