"""Replies to somebody at work: asking for them, writing them down, and picking up what was lost.

The row is the truth and a message only rings. A request is queued, then running while a worker
holds it (`claimed_at` is the worker's last sign of life), then done or failed; a failed one may be
asked for again. A message may come twice and a worker may die at any moment.
"""

import logging
import time
import traceback
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.choices import AssignmentStatus, Origin
from annotation.models import Assignment, Completion, Prompt
from annotation.services.locks import task_lock
from annotation.services.turns import turn_show
from training.choices import REPLY_OPEN, ReplyFailure, ReplyStatus, SamplePurpose
from training.errors import NoLivePolicy, RepliesOpen, ReplyAttemptsExhausted
from training.models import ReplyRequest, Sample
from training.selectors.replies import request_turn
from training.services.doorbell import reply_ring
from training.services.reply_jobs import (
    Generate,
    Reply,
    ReplyJob,
    reply_job,
    reply_policies,
    reply_seed,
)
from training.services.reply_process import ReplyRefused, replies_generate
from training.services.settings import loop_settings_ensure
from training.services.worker_exit import WorkerWatch

logger = logging.getLogger(__name__)
MAX_OPEN = 3
MAX_ATTEMPTS = 10
WRITE_SECONDS = 0.34
RING_AGAIN_SECONDS = 10
WAIT_MINUTES = 15
DEFECT = "No reply could be written. Ask again; if it fails again, tell an admin of the project."
DROPPED = "You no longer hold this task, so no reply was written."
NOBODY_CAME = (
    f"Nobody wrote a reply within {WAIT_MINUTES} minutes. Ask again; if it fails again, tell an "
    "admin of the project that the worker for replies does not run."
)


class _ClaimLost(Exception):
    """Another worker has the request, or nobody wants it any more."""


class _WorkerLeaves(Exception):
    """The worker was told to stop: the request waits for the next one."""


@transaction.atomic
def reply_ask(
    *, assignment: Assignment, prompt: Prompt, attempt: int, num_replies: int
) -> ReplyRequest:
    """Asks the live policies to answer, unless that is under way or done; rings on commit.

    Requires the lock of the assignment's task. A failed request is queued again. Raises
    NoLivePolicy, RepliesOpen and ReplyAttemptsExhausted.
    """
    request = ReplyRequest.objects.filter(
        assignment=assignment, prompt=prompt, attempt=attempt
    ).first()
    if request is None or request.status == ReplyStatus.FAILED:
        attempts_refuse(attempt)
        _open_refuse(assignment)
        settings = loop_settings_ensure(project=assignment.task.project)
        reply_policies(settings)
        seed = reply_seed(settings, assignment.pk, prompt.pk, attempt)
        request = _queue(request, assignment, prompt, attempt, num_replies, seed)
    if request.status == ReplyStatus.QUEUED:
        reply_ring(request_id=request.pk)
    return request


def reply_answer(*, request_id: int, generate: Generate = replies_generate) -> None:
    """Claims the request, has it answered and stores the replies; returns at once when it cannot.

    May be called any number of times for one request, by any number of workers.
    """
    request = _claim(request_id)
    if request is None:
        return
    holder = _Holder(request)
    try:
        job = reply_job(request)
        replies = generate(job, holder.beat)
        _store(holder, job, replies)
    except _ClaimLost:
        logger.warning("reply request %s: no longer ours, leaving it", request_id)
    except _WorkerLeaves:
        holder.release()
    except (NoLivePolicy, ReplyRefused) as error:
        holder.fail(ReplyFailure(error.code), error.message)
    except Exception:
        logger.exception("reply request %s failed", request_id)
        holder.fail(ReplyFailure.FAILED, DEFECT, traceback.format_exc())
    except BaseException:
        holder.release()
        raise


def replies_recover(*, now: datetime | None = None) -> int:
    """Queues what a dead worker held, drops what nobody waits for, rings for what was not heard.

    Safe in any number of processes at once. Returns how many were found dead.
    """
    now = now or timezone.now()
    lost = ReplyRequest.objects.filter(
        status=ReplyStatus.RUNNING, claimed_at__lte=now - _lease()
    ).update(status=ReplyStatus.QUEUED, claimed_at=None)
    waiting = ReplyRequest.objects.filter(status=ReplyStatus.QUEUED)
    too_old = Q(created_at__lte=now - timedelta(minutes=WAIT_MINUTES))
    _end(waiting.filter(pk__in=_unwanted()), ReplyFailure.DROPPED, DROPPED, now)
    _end(waiting.filter(too_old), ReplyFailure.UNHEARD, NOBODY_CAME, now)
    unheard = waiting.filter(created_at__lte=now - timedelta(seconds=RING_AGAIN_SECONDS))
    for pk in unheard.order_by("pk").values_list("pk", flat=True):
        reply_ring(request_id=pk)
    return lost


class _Holder:
    """A worker's hold on a running request, kept by writing down how it goes."""

    def __init__(self, request: ReplyRequest) -> None:
        self.request = request
        self._watch = WorkerWatch()
        self._progress = 0.0
        self._written = time.monotonic()

    def beat(self, progress: float | None) -> None:
        """Writes at most about three times a second. Raises _ClaimLost and _WorkerLeaves."""
        if self._watch.is_leaving:
            raise _WorkerLeaves
        since = time.monotonic() - self._written
        is_news = progress is not None and progress > self._progress
        if since < WRITE_SECONDS or (not is_news and since < _lease().total_seconds() / 3):
            return
        self._progress = max(self._progress, progress or 0.0)
        now = timezone.now()
        if not self.update(claimed_at=now, progress=min(self._progress, 1.0)):
            raise _ClaimLost
        self.request.claimed_at = now
        self._written = time.monotonic()

    def update(self, **changes: Any) -> bool:
        """False when the request is not ours any more."""
        held = ReplyRequest.objects.filter(
            pk=self.request.pk, status=ReplyStatus.RUNNING, claimed_at=self.request.claimed_at
        )
        return bool(held.update(**changes))

    def release(self) -> None:
        with transaction.atomic():
            if self.update(status=ReplyStatus.QUEUED, claimed_at=None):
                reply_ring(request_id=self.request.pk)

    def fail(self, code: ReplyFailure, sentence: str, story: str = "") -> None:
        self.update(**_failed(code, f"{sentence}\n\n{story}".strip(), timezone.now()))


def attempts_refuse(num_attempts: int) -> None:
    """Raises ReplyAttemptsExhausted when one more would be too many."""
    if num_attempts >= MAX_ATTEMPTS:
        raise ReplyAttemptsExhausted(
            f"This message was answered {num_attempts} times; at most {MAX_ATTEMPTS} are possible. "
            "Choose among the replies there are, or say it in other words.",
            maximum=MAX_ATTEMPTS,
        )


def _open_refuse(assignment: Assignment) -> None:
    num_open = ReplyRequest.objects.filter(
        assignment__annotator=assignment.annotator_id,
        assignment__status=AssignmentStatus.ACTIVE,
        status__in=REPLY_OPEN,
    ).count()
    if num_open >= MAX_OPEN:
        raise RepliesOpen(
            f"You wait for replies to {num_open} messages already; at most {MAX_OPEN} at a time. "
            "Wait until one of them is answered.",
            maximum=MAX_OPEN,
        )


def _queue(
    failed: ReplyRequest | None,
    assignment: Assignment,
    prompt: Prompt,
    attempt: int,
    num_replies: int,
    seed: int,
) -> ReplyRequest:
    """A new row, or the failed one as if it were asked for just now."""
    if failed is None:
        return ReplyRequest.objects.create(
            assignment=assignment,
            prompt=prompt,
            attempt=attempt,
            num_replies=num_replies,
            seed=seed,
        )
    ReplyRequest.objects.filter(pk=failed.pk, status=ReplyStatus.FAILED).update(
        status=ReplyStatus.QUEUED,
        created_at=timezone.now(),
        claimed_at=None,
        finished_at=None,
        progress=0.0,
        error="",
    )
    failed.refresh_from_db()
    return failed


def _claim(request_id: int) -> ReplyRequest | None:
    waiting = ReplyRequest.objects.filter(pk=request_id, status=ReplyStatus.QUEUED)
    now = timezone.now()
    if _end(waiting.filter(pk__in=_unwanted()), ReplyFailure.DROPPED, DROPPED, now):
        return None
    if not waiting.update(status=ReplyStatus.RUNNING, claimed_at=now):
        return None
    request = ReplyRequest.objects.select_related(
        "assignment__task__project", "assignment__annotator", "prompt"
    ).get(pk=request_id)
    # Between the two statements another worker can only have come if our lease were over already.
    return request if request.claimed_at == now else None


def _store(holder: _Holder, job: ReplyJob, replies: list[Reply]) -> None:
    """The replies and who wrote them, shown all together or not at all. Raises _ClaimLost."""
    request = holder.request
    with transaction.atomic():
        task_lock(request.assignment.task_id)
        request.assignment.refresh_from_db()
        if request.assignment.status != AssignmentStatus.ACTIVE:
            holder.fail(ReplyFailure.DROPPED, DROPPED)
            return
        now = timezone.now()
        if not holder.update(status=ReplyStatus.DONE, progress=1.0, finished_at=now):
            raise _ClaimLost
        completions = Completion.objects.bulk_create(
            Completion(prompt=request.prompt, text=reply.text, origin=Origin.MODEL)
            for reply in replies
        )
        checkpoints = {part.index: part.checkpoint for part in job.parts}
        Sample.objects.bulk_create(
            Sample(
                completion=completion,
                checkpoint=checkpoints[reply.index],
                reply_request=request,
                index=reply.index,
                settings=job.config,
                seed=reply.seed,
                num_tokens=reply.num_tokens,
                finished=reply.finished,
                purpose=SamplePurpose.REPLY,
            )
            for completion, reply in zip(completions, replies, strict=True)
        )
        _show(request, [completion.pk for completion in completions])


def _show(request: ReplyRequest, completion_ids: list[int]) -> None:
    """To a turn of a conversation, or as the draft of a demonstration."""
    if (turn := request_turn(request)) is not None:
        turn_show(turn_id=turn.pk, completion_ids=completion_ids)
        return
    shown = request.assignment.shown_order
    new = [pk for pk in completion_ids if pk not in shown]
    Assignment.objects.filter(pk=request.assignment_id).update(shown_order=[*shown, *new])


def _unwanted() -> QuerySet[Any]:
    """Requests of assignments that were handed in, skipped, withdrawn, or ran out."""
    ended = ReplyRequest.objects.exclude(assignment__status=AssignmentStatus.ACTIVE)
    return ended.filter(status=ReplyStatus.QUEUED).values("pk")


def _end(requests: QuerySet[ReplyRequest], code: ReplyFailure, sentence: str, now: datetime) -> int:
    return requests.update(**_failed(code, sentence, now))


def _failed(code: ReplyFailure, error: str, now: datetime) -> dict[str, Any]:
    """See training.selectors.replies.reply_state, which takes the two apart."""
    return {"status": ReplyStatus.FAILED, "error": f"{code.value}: {error}", "finished_at": now}


def _lease() -> timedelta:
    return timedelta(seconds=django_settings.PREFERENDUM_RUN_LEASE_SECONDS)
