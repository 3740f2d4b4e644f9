"""Replies without a model: what the worker for replies does, in the test's own process."""

from collections.abc import Callable

from training.choices import ReplyStatus
from training.models import ReplyRequest
from training.services.reply_jobs import Beat, Generate, Reply, ReplyJob
from training.services.replying import reply_answer


def replies_echo(job: ReplyJob, beat: Beat) -> list[Reply]:
    """Different words for each reply, which tell the last message and the seed."""
    said = job.messages[-1]["content"]
    replies = []
    for part in job.parts:
        beat(part.index / len(job.parts))
        text = f"Reply {part.index + 1} to: {said} ({job.seed % 1000})"
        replies.append(Reply(part.index, text, 7, True, job.seed + part.index))
    return replies


def replies_of(*texts: str) -> Generate:
    """Always these replies."""

    def generate(job: ReplyJob, beat: Beat) -> list[Reply]:
        return [
            Reply(part.index, text, len(text), True, job.seed + part.index)
            for part, text in zip(job.parts, texts, strict=True)
        ]

    return generate


def answer_waiting(generate: Callable[[ReplyJob, Beat], list[Reply]] = replies_echo) -> int:
    """Answers every request that waits; returns how many."""
    waiting = list(
        ReplyRequest.objects.filter(status=ReplyStatus.QUEUED).values_list("pk", flat=True)
    )
    for pk in waiting:
        reply_answer(request_id=pk, generate=generate)
    return len(waiting)
