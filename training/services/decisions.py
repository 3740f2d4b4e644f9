"""Promote, hold or reject: by the gates, by people's blind votes, by a person's word."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.choices import TaskStatus
from annotation.models import Task
from annotation.services.assignments import judgements_freeze
from annotation.services.audit import audit_record
from annotation.services.tasks import tasks_withdraw
from training.choices import (
    Approval,
    Decision,
    RoundStatus,
    RoundStep,
    WaitingFor,
)
from training.errors import RoundNotRetryable, RoundNotUndecided
from training.gates import (
    GateResult,
    decision_of,
    policy_judge,
    reward_model_judge,
    trial_judge,
)
from training.models import Checkpoint, LoopSettings, Round, Run
from training.selectors.answer_kinds import preference_kind_names
from training.selectors.runs import round_run_get
from training.selectors.win_rates import policies_win_rate
from training.services.checkpoints import round_checkpoint_get
from training.services.deployments import tasks_of_checkpoint
from training.services.doorbell import round_ring
from training.services.settings import gates_resolve, round_settings


def reward_model_check(round: Round) -> bool:
    """The step CALIBRATE: a reward model that fails its gate ends the round before the policy."""
    settings = round_settings(round)
    results = reward_model_judge(_metrics(round, RoundStep.REWARD_MODEL), gates_resolve(settings))
    decision, reason = decision_of(results)
    data = _gates_data(round, results)
    if decision == Decision.PROMOTE:
        return _seen(round, reason, data)
    _decide(round, decision, reason, data)
    return True


def policy_check(round: Round) -> bool:
    """The step DECIDE: chooses the checkpoint and holds it against the gates.

    With a trial ahead what the gates let through is decided by people's votes.
    """
    if round.decision or round.waiting_for == WaitingFor.APPROVAL:
        return bool(round.decision)
    settings = round_settings(round)
    chosen = _chosen(round)
    _open(round).filter(chosen__isnull=True).update(chosen=chosen)
    results = policy_judge(_metrics(round, RoundStep.EVALUATE), gates_resolve(settings))
    decision, reason = decision_of(results)
    data = _gates_data(round, results)
    if decision == Decision.PROMOTE and RoundStep.VERDICT in round.steps:
        return _seen(round, reason, data)
    return _conclude(round, settings, decision, reason, data)


def trial_check(round: Round) -> bool:
    """The step VERDICT: waits for votes until they decide, or the trial is over.

    Votes that decide are frozen, and counted once more as they are then: none of them can be taken
    back from a decision.
    """
    if round.decision or round.waiting_for == WaitingFor.APPROVAL:
        return bool(round.decision)
    settings = round_settings(round)
    run = Run.objects.get(round=round, step=RoundStep.SAMPLE, superseded_at__isnull=True)
    result, data = _votes_judge(round, settings, run)
    if result is not None:
        with transaction.atomic():
            judgements_freeze(project=round.project, tasks=_trial_tasks(run))
            result, data = _votes_judge(round, settings, run, only_frozen=True)
            if result is not None:
                decision, _ = decision_of([result])
                return _conclude(round, settings, decision, result.sentence, data)
            # Somebody took a vote back in between: it goes on as if nobody had looked.
            transaction.set_rollback(True)
    _open(round).update(waiting_for=WaitingFor.VOTES, decision_data={**round.decision_data, **data})
    return False


@transaction.atomic
def round_approve(*, round: Round, actor: User | None, note: str = "") -> Round:
    """A person promotes a policy that waits for approval, or one the gates held.

    Raises RoundNotUndecided.
    """
    if round.status == RoundStatus.SUCCEEDED and round.decision == Decision.HOLD:
        _reopen(round)
    elif not _is_waiting(round):
        raise _not_undecided(round)
    return _decide_by(round, Decision.PROMOTE, "approved", actor, note)


@transaction.atomic
def round_reject(*, round: Round, actor: User | None, note: str = "") -> Round:
    """A person turns down a policy that waits for approval or votes. Raises RoundNotUndecided."""
    if round.status != RoundStatus.RUNNING or not round.waiting_for:
        raise _not_undecided(round)
    return _decide_by(round, Decision.REJECT, "rejected", actor, note)


def _decide_by(round: Round, decision: Decision, word: str, actor: User | None, note: str) -> Round:
    """A person's word; raises RoundNotUndecided when somebody else's came first."""
    if not _decide(round, decision, _words(word.capitalize(), actor, note), {}, actor):
        round.refresh_from_db()
        raise _not_undecided(round)
    audit_record(actor=actor, verb=f"round:{word}", target=round, project=round.project, note=note)
    round_ring(round_id=round.pk)
    round.refresh_from_db()
    return round


def _conclude(
    round: Round, settings: LoopSettings, decision: Decision, reason: str, data: dict[str, Any]
) -> bool:
    """The gates' last word; what they let through may still need a person's."""
    if decision == Decision.PROMOTE and settings.approval == Approval.PERSON:
        _open(round).update(
            waiting_for=WaitingFor.APPROVAL,
            decision_reason=reason,
            decision_data={**round.decision_data, **data},
        )
        return False
    _decide(round, decision, reason, data)
    return True


def _decide(
    round: Round, decision: Decision, reason: str, data: dict[str, Any], actor: User | None = None
) -> bool:
    """Stores the decision once; False when another one was first."""
    with transaction.atomic():
        changed = _open(round).update(
            decision=decision,
            decision_reason=reason,
            decision_data={**round.decision_data, **data},
            decided_by=actor,
            decided_at=timezone.now(),
            waiting_for="",
        )
        if changed:
            audit_record(
                actor=actor, verb="round:decided", target=round, project=round.project,
                decision=str(decision), reason=reason,
            )  # fmt: skip
            if decision != Decision.PROMOTE:
                # A trial's tasks show a policy that will not be deployed.
                _trial_withdraw(round)
    return bool(changed)


def _votes_judge(
    round: Round, settings: LoopSettings, run: Run, *, only_frozen: bool = False
) -> tuple[GateResult | None, dict[str, Any]]:
    """What the votes so far say, None while they decide nothing, and what the round keeps of it."""
    roles = _trial_roles(run)
    win = policies_win_rate(
        project=round.project,
        policy=roles["policy"],
        other=roles["previous"],
        run=run,
        only_frozen=only_frozen,
    )
    is_open = _trial_tasks(run).filter(status=TaskStatus.OPEN).exists()
    is_over = win.num >= settings.trial_votes or not is_open
    result = trial_judge(win, is_over, gates_resolve(settings))
    trial = {"wins": win.wins, "num": win.num, "low": win.low, "high": win.high}
    return result, _gates_data(round, [result] if result else []) | {"trial": trial}


def _trial_tasks(run: Run) -> QuerySet[Task]:
    tasks = tasks_of_checkpoint(_trial_roles(run)["policy"])
    return tasks.filter(completions__sample__run=run, kind__in=preference_kind_names())


def _trial_roles(run: Run) -> dict[str, Checkpoint]:
    return {parent.role: parent.checkpoint for parent in run.run_parents.all()}


def _trial_withdraw(round: Round) -> None:
    run = round_run_get(round, RoundStep.SAMPLE)
    if run is not None:
        tasks_withdraw(
            tasks_queryset=Task.objects.filter(completions__sample__run=run),
            reason="the policy on trial was not promoted",
        )


def _seen(round: Round, reason: str, data: dict[str, Any]) -> bool:
    """Keeps what the gates saw, for a decision that comes later."""
    _open(round).update(decision_reason=reason, decision_data={**round.decision_data, **data})
    return True


def _reopen(round: Round) -> None:
    if Round.objects.filter(project=round.project_id, number__gt=round.number).exists():
        raise RoundNotRetryable(
            f"Round {round.number} is no longer the latest; only the latest can be promoted.",
            round_id=round.pk,
        )
    chosen = _chosen(round)
    if chosen is None:
        raise RoundNotUndecided(
            f"Round {round.number} trained no policy that could be promoted.", round_id=round.pk
        )
    Round.objects.filter(pk=round.pk, status=RoundStatus.SUCCEEDED).update(
        status=RoundStatus.RUNNING,
        finished_at=None,
        decision="",
        decided_at=None,
        decided_by=None,
        chosen=chosen,
    )
    round.refresh_from_db()


def _is_waiting(round: Round) -> bool:
    return round.status == RoundStatus.RUNNING and round.waiting_for == WaitingFor.APPROVAL


def _not_undecided(round: Round) -> RoundNotUndecided:
    state = round.get_decision_display() or round.get_status_display()
    return RoundNotUndecided(
        f"Round {round.number} is {state.lower()}; there is nothing to decide now.",
        round_id=round.pk,
    )


def _open(round: Round) -> Any:
    """The round while it stands at the caller's step undecided: a late caller changes nothing."""
    return Round.objects.filter(
        pk=round.pk, status=RoundStatus.RUNNING, step=round.step, decision=""
    )


def _chosen(round: Round) -> Checkpoint | None:
    """The checkpoint that the evaluation chose, the policy's last one when it chose none."""
    if round.chosen is not None:
        return round.chosen
    run = round_run_get(round, RoundStep.EVALUATE)
    role = (run.result.get("data") or {}).get("chosen", "policy") if run else "policy"
    parent = run.run_parents.select_related("checkpoint").filter(role=role).first() if run else None
    if parent is not None:
        return parent.checkpoint
    return round_checkpoint_get(round, RoundStep.POLICY)


def _metrics(round: Round, step: str) -> dict[str, float]:
    run = round_run_get(round, step)
    return (run.result.get("metrics") or {}) if run else {}


def _gates_data(round: Round, results: Sequence[GateResult]) -> dict[str, Any]:
    """What was seen at earlier steps and is seen now; a gate seen again counts once."""
    seen_again = {result.gate for result in results}
    known = round.decision_data.get("gates", [])
    kept = [item for item in known if item["gate"] not in seen_again]
    return {"gates": kept + [asdict(result) for result in results]}


def _words(what: str, actor: User | None, note: str) -> str:
    who = f" by {actor.get_username()}" if actor else ""
    return f"{what}{who}: {note}" if note else f"{what}{who}."
