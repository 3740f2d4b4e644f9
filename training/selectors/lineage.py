"""Lineage both ways: from a completion back to those who taught its writer, and from a person's
judgements to every model that learned from them.

A run learned from a person when its method reads a file (`Method.data`) of a snapshot that holds
a judgement of theirs; a checkpoint did when its run or any run of its ancestry did. Nothing of
this is stored: the snapshots' rows and the runs' parents say it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count

from annotation.choices import AssignmentStatus, Origin
from annotation.errors import NotFound
from annotation.models import Assignment, Completion, Exclusion, Project
from annotation.selectors.exclusions import excluded_ids, exclusion_get
from training.algorithms.methods import UnknownMethod, method_get
from training.choices import CheckpointKind
from training.models import Checkpoint, Deployment, Round, Run, RunParent, Sample, Snapshot
from training.selectors.judgements import held_count, kinds_read, kinds_teaching

# {snapshot id: {kind of judgement: {user id: how many}}}
JudgementCounts = dict[int, dict[str, Counter[int]]]


@dataclass(frozen=True, slots=True)
class SnapshotShare:
    """A snapshot that holds a person's judgements: theirs by kind, and everybody's together."""

    hash: str
    rounds: list[int]
    judgements: dict[str, int]
    total: int

    @property
    def share(self) -> float:
        return sum(self.judgements.values()) / self.total


@dataclass(frozen=True, slots=True)
class TaughtCheckpoint:
    """A checkpoint that learned from a person.

    `is_direct`: its own run read their judgements, not only one it descends from. `share`: theirs
    among the judgements read by one run of its ancestry, in the run where that is the most.
    """

    id: int
    name: str
    kind: str
    kind_title: str
    round: int | None
    is_deployed: bool
    is_direct: bool
    share: float


@dataclass(frozen=True, slots=True)
class LabelerLineage:
    """`rounds` froze a judgement of theirs. `judgements` by kind, counted or not; newest first."""

    user_id: int
    username: str
    exclusion: Exclusion | None
    judgements: dict[str, int]
    snapshots: list[SnapshotShare]
    rounds: list[int]
    checkpoints: list[TaughtCheckpoint]

    @property
    def num_judgements(self) -> int:
        return sum(self.judgements.values())

    @property
    def num_deployed(self) -> int:
        return sum(checkpoint.is_deployed for checkpoint in self.checkpoints)


def completion_get_origin(
    project: Project, completion_id: int, *, show_names: bool = False
) -> dict[str, Any]:
    """Raises NotFound. A person's completion names the author, a model's its whole ancestry."""
    completion = (
        Completion.objects.filter(pk=completion_id, prompt__project=project)
        .select_related("author", "prompt")
        .first()
    )
    if completion is None:
        raise NotFound(f"{project.slug} has no completion {completion_id}.")
    record: dict[str, Any] = {
        "completion_id": completion.pk,
        "prompt_id": completion.prompt_id,
        "origin": completion.origin,
        "author": completion.author.get_username() if completion.author else None,
        "sample": None,
        "ancestry": [],
    }
    if completion.origin == Origin.MODEL:
        sample = Sample.objects.filter(completion=completion).select_related("checkpoint").first()
        if sample is not None:
            record["sample"] = {
                "checkpoint_id": sample.checkpoint_id,
                "checkpoint": sample.checkpoint.name,
                "run_id": sample.run_id,
                "reply_request_id": sample.reply_request_id,
                "index": sample.index,
                "seed": sample.seed,
                "settings": sample.settings,
                "num_tokens": sample.num_tokens,
                "finished": sample.finished,
            }
            record["ancestry"] = checkpoint_ancestry(sample.checkpoint, show_names=show_names)
    return record


def checkpoint_get(project: Project, checkpoint_id: int) -> Checkpoint:
    """Raises NotFound."""
    found = Checkpoint.objects.filter(project=project, pk=checkpoint_id).first()
    if found is None:
        raise NotFound(f"{project.slug} has no checkpoint {checkpoint_id}.")
    return found


def checkpoint_ancestry(
    checkpoint: Checkpoint, *, show_names: bool = False
) -> list[dict[str, Any]]:
    """The checkpoint and everything it descends from, nearest first, each once.

    Each entry tells its parents, its snapshot, and whose judgements its run read there: how many
    of each kind, the busiest person first, without names unless `show_names`.
    """
    found: dict[int, tuple[Checkpoint, str, Run | None, list[RunParent]]] = {}
    waiting = [(checkpoint, "")]
    while waiting:
        current, role = waiting.pop(0)
        if current.pk in found:
            continue
        run = (
            Run.objects.filter(pk=current.run_id).select_related("snapshot", "round").first()
            if current.run_id
            else None
        )
        parents = list(run.run_parents.select_related("checkpoint").order_by("role")) if run else []
        found[current.pk] = (current, role, run, parents)
        waiting.extend((parent.checkpoint, parent.role) for parent in parents)
    snapshots = {run.snapshot_id for _, _, run, _ in found.values() if run and run.snapshot_id}
    counts = _judgement_counts(snapshots)
    people = _people(counts, checkpoint.project) if checkpoint.project else {}
    return [
        _entry(current, role, run, parents)
        | {"labelers": _labelers(_read_by(run, counts), people, show_names)}
        for current, role, run, parents in found.values()
    ]


def labeler_lineage(project: Project, user: User) -> LabelerLineage:
    """What became of one person's judgements."""
    mine = {user.pk}
    holding = set(_judgement_counts(_snapshot_ids(project), mine))
    counts = _judgement_counts(holding)
    shares = {pk: _share(run, counts, mine) for pk, run in _runs_on(project, holding).items()}
    taught = {pk: share for pk, share in shares.items() if share}
    rounds = Round.objects.filter(snapshot__in=holding).order_by("-number")
    return LabelerLineage(
        user_id=user.pk,
        username=user.get_username(),
        exclusion=exclusion_get(project, user),
        judgements=_judgements_of(project, user),
        snapshots=_snapshot_shares(holding, counts, user.pk, list(rounds)),
        rounds=[round.number for round in rounds],
        checkpoints=_taught(project, taught),
    )


def checkpoints_affected(project: Project) -> set[int]:
    """The checkpoints that learned from somebody who is excluded now."""
    excluded = set(excluded_ids(project).values_list("user", flat=True))
    if not excluded:
        return set()
    counts = _judgement_counts(_snapshot_ids(project), excluded)
    taught = {pk for pk, run in _runs_on(project, set(counts)).items() if _read_by(run, counts)}
    ancestry = _Ancestry(project)
    return {pk for pk in ancestry.run_of if ancestry.runs(pk) & taught}


def checkpoint_affected_by(checkpoint: Checkpoint) -> list[User]:
    """The excluded people whose judgements the checkpoint or an ancestor of it learned from."""
    if checkpoint.project is None:
        return []
    excluded = set(excluded_ids(checkpoint.project).values_list("user", flat=True))
    if not excluded:
        return []
    runs = Run.objects.filter(pk__in=_Ancestry(checkpoint.project).runs(checkpoint.pk))
    counts = _judgement_counts(runs.values("snapshot"), excluded)
    teachers: set[int] = set()
    for run in runs:
        for by_person in _read_by(run, counts).values():
            teachers |= set(by_person)
    return list(User.objects.filter(pk__in=teachers).order_by("pk"))


def sft_is_affected(project: Project) -> bool:
    """Whether the SFT that policies start from learned from somebody who is excluded now."""
    affected = checkpoints_affected(project)
    if not affected:
        return False
    sft = Checkpoint.objects.filter(
        project=project, kind=CheckpointKind.SFT, run__superseded_at__isnull=True
    )
    return sft.order_by("-pk").values_list("pk", flat=True).first() in affected


def _judgements_of(project: Project, user: User) -> dict[str, int]:
    """How many of each kind the person submitted, counted or not."""
    submitted = Assignment.objects.filter(
        task__project=project, annotator=user, status=AssignmentStatus.SUBMITTED
    )
    rows = submitted.order_by().values_list("task__kind").annotate(num=Count("pk"))
    return dict.fromkeys(project.kinds, 0) | dict(rows)


class _Ancestry:
    """Who descends from whom among a project's checkpoints. Two queries."""

    def __init__(self, project: Project) -> None:
        checkpoints = Checkpoint.objects.filter(project=project)
        self.run_of: dict[int, int] = dict(checkpoints.values_list("pk", "run_id"))
        self._parents: dict[int, list[int]] = defaultdict(list)
        rows = RunParent.objects.filter(run__project=project).values_list("run", "checkpoint")
        for run_id, checkpoint_id in rows:
            self._parents[run_id].append(checkpoint_id)

    def runs(self, checkpoint_id: int) -> set[int]:
        """The runs of the checkpoint's ancestry, its own included."""
        runs: set[int] = set()
        waiting = [checkpoint_id]
        while waiting:
            # A base model has no run.
            run_id = self.run_of.get(waiting.pop())
            if run_id is not None and run_id not in runs:
                runs.add(run_id)
                waiting.extend(self._parents[run_id])
        return runs


def _kinds_read(method: str) -> set[str]:
    """The kinds of judgement a method reads; all of them for one that is not there any more."""
    try:
        kinds = kinds_read(method_get(method).data)
    except UnknownMethod:
        kinds = kinds_teaching()
    return {kind.name for kind in kinds}


def _judgement_counts(snapshots: Any, annotators: Iterable[int] | None = None) -> JudgementCounts:
    """The judgements that the snapshots (ids) hold, of everybody or of some. One query."""
    counts: JudgementCounts = defaultdict(lambda: defaultdict(Counter))
    held = Snapshot.assignments.through.objects.filter(snapshot__in=snapshots)
    if annotators is not None:
        held = held.filter(assignment__annotator__in=list(annotators))
    rows = (
        held.order_by()
        .values_list("snapshot", "assignment__task__kind", "assignment__annotator")
        .annotate(num=Count("pk"))
    )
    for snapshot, kind, annotator, num in rows:
        counts[snapshot][kind][annotator] = num
    return counts


def _snapshot_ids(project: Project) -> Any:
    return Snapshot.objects.filter(project=project).values("pk")


def _runs_on(project: Project, snapshots: set[int]) -> dict[int, Run]:
    """The runs on the snapshots, light: without what they reported."""
    runs = Run.objects.filter(project=project, snapshot__in=snapshots)
    return runs.only("pk", "method", "snapshot").in_bulk()


def _read_by(run: Run | None, counts: JudgementCounts) -> dict[str, Counter[int]]:
    """What one run read of the counted judgements: {kind: {user id: how many}}."""
    if run is None or run.snapshot_id not in counts:
        return {}
    kinds = _kinds_read(run.method)
    return {kind: num for kind, num in counts[run.snapshot_id].items() if kind in kinds}


def _share(run: Run, counts: JudgementCounts, annotators: set[int]) -> float:
    """The annotators' part of the judgements the run read."""
    totals: Counter[int] = sum(_read_by(run, counts).values(), Counter())
    theirs = sum(totals[annotator] for annotator in annotators)
    return theirs / totals.total() if theirs else 0.0


def _taught(project: Project, taught: dict[int, float]) -> list[TaughtCheckpoint]:
    """The checkpoints with one of the runs {run id: share} in their ancestry, newest first."""
    if not taught:
        return []
    ancestry = _Ancestry(project)
    shares = {
        pk: max(taught[run] for run in runs & taught.keys())
        for pk in ancestry.run_of
        if (runs := ancestry.runs(pk)) & taught.keys()
    }
    active = Deployment.objects.filter(project=project, retired_at__isnull=True)
    deployed = set(active.values_list("checkpoint", flat=True))
    rows = Checkpoint.objects.filter(pk__in=shares).select_related("run__round").order_by("-pk")
    return [
        TaughtCheckpoint(
            id=row.pk,
            name=row.name,
            kind=row.kind,
            kind_title=row.get_kind_display(),
            round=row.run.round.number if row.run and row.run.round else None,
            is_deployed=row.pk in deployed,
            is_direct=row.run_id in taught,
            share=shares[row.pk],
        )
        for row in rows
    ]


def _snapshot_shares(
    holding: set[int], counts: JudgementCounts, user_id: int, rounds: list[Round]
) -> list[SnapshotShare]:
    return [
        SnapshotShare(
            hash=snapshot.hash,
            rounds=[round.number for round in rounds if round.snapshot_id == snapshot.pk],
            judgements={
                kind: by_person[user_id]
                for kind, by_person in counts[snapshot.pk].items()
                if by_person[user_id]
            },
            total=sum(by_person.total() for by_person in counts[snapshot.pk].values()),
        )
        for snapshot in Snapshot.objects.filter(pk__in=holding).order_by("-pk")
    ]


def _people(counts: JudgementCounts, project: Project) -> dict[int, tuple[str, bool]]:
    """{user id: (name, excluded now?)} of everybody who is counted."""
    ids = {pk for kinds in counts.values() for by_person in kinds.values() for pk in by_person}
    excluded = set(excluded_ids(project).values_list("user", flat=True))
    users = User.objects.filter(pk__in=ids)
    return {user.pk: (user.get_username(), user.pk in excluded) for user in users}


def _labelers(
    read: dict[str, Counter[int]], people: dict[int, tuple[str, bool]], show_names: bool
) -> list[dict[str, Any]]:
    totals: Counter[int] = sum(read.values(), Counter())
    return [
        {
            "user_id": pk if show_names else None,
            "username": people[pk][0] if show_names else None,
            "excluded": people[pk][1],
            "judgements": {kind: num[pk] for kind, num in read.items() if num[pk]},
        }
        for pk, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    ]


def _entry(
    checkpoint: Checkpoint, role: str, run: Run | None, parents: list[RunParent]
) -> dict[str, Any]:
    snapshot = run.snapshot if run else None
    return {
        "checkpoint_id": checkpoint.pk,
        "checkpoint": checkpoint.name,
        "kind": checkpoint.kind,
        "role": role,
        "run_id": run.pk if run else None,
        "round": run.round.number if run and run.round else None,
        "method": run.method if run else None,
        "code_version": run.code_version if run else None,
        "parents": [
            {"role": parent.role, "checkpoint_id": parent.checkpoint_id} for parent in parents
        ],
        "snapshot": snapshot.hash if snapshot else None,
        "num_rankings": held_count(snapshot, "rankings"),
        "num_demonstrations": held_count(snapshot, "demonstrations"),
    }
