"""Requests for replies: claimed, answered, stored, lost and found again."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from annotation.choices import AssignmentStatus, Origin
from annotation.models import Assignment, Completion, Project, Task, Turn
from annotation.services.assignments import assignment_skip
from annotation.services.projects import project_update
from tests.factories import claim_make, user_make
from tests.replies import answer_waiting, replies_echo, replies_of
from tests.tiny import tiny_checkpoint
from tests.training.test_execution import is_alive
from training.choices import CheckpointKind, DeploymentRole, ReplyStatus, SamplePurpose
from training.errors import NoLivePolicy
from training.models import Checkpoint, Deployment, ReplyRequest, Run, Sample
from training.selectors.lineage import completion_get_origin
from training.services import reply_process
from training.services.reply_jobs import Beat, Reply, ReplyJob, roles_draw
from training.services.reply_preparing import replies_foresee, replies_prepare
from training.services.reply_process import process_end, process_pid, replies_generate
from training.services.replying import (
    DEFECT,
    DROPPED,
    NOBODY_CAME,
    replies_recover,
    reply_answer,
)
from training.services.settings import loop_settings_ensure
from training.services.turn_replies import turn_again, turn_begin

Rung = list[tuple[str, int, str]]


def talk_make(project: Project, annotator: User, **options: Any) -> Assignment:
    project_update(
        actor=None,
        project=project,
        kinds=[*project.kinds, "conversation"],
        options={"conversation": options},
        targets={"conversation": 1},
    )
    return claim_make(project, annotator, "conversation")


def say(assignment: Assignment, text: str = "Hello") -> ReplyRequest:
    turn_begin(
        assignment_id=assignment.pk, annotator=assignment.annotator, text=text, parent_id=None
    )
    return ReplyRequest.objects.latest("pk")


def policy_make(project: Project, name: str, folder: Path | None = None) -> Checkpoint:
    run = Run.objects.create(
        project=project, step="policy", method="ppo", queue="train", config={}, seed=1
    )
    checkpoint = Checkpoint.objects.create(
        project=project,
        run=run,
        kind=CheckpointKind.POLICY,
        name=name,
        path=f"runs/{run.pk}/output",
    )
    if folder is not None:
        Path(checkpoint.location).parent.mkdir(parents=True)
        Path(checkpoint.location).symlink_to(folder)
    return checkpoint


def deploy(checkpoint: Checkpoint, role: str = DeploymentRole.PRIMARY, weight: float = 1.0) -> None:
    Deployment.objects.create(
        project=checkpoint.project, checkpoint=checkpoint, role=role, weight=weight
    )


@pytest.fixture
def talk(project: Project, bob: User, settings: Settings, tmp_path: Path, rung: Rung) -> Assignment:
    """Bob talks; a named base model answers."""
    settings.PREFERENDUM_BASE_MODEL = str(tmp_path)
    return talk_make(project, bob)


@pytest.mark.django_db
class TestRows:
    def test_replies_are_stored_with_their_writer_and_shown_to_the_turn(
        self, talk: Assignment, project: Project, alice: User, client: Client
    ) -> None:
        policy, previous = policy_make(project, "new"), policy_make(project, "old")
        deploy(policy)
        deploy(previous, DeploymentRole.PREVIOUS, 0.25)
        request = say(talk)
        reply_answer(request_id=request.pk, generate=replies_echo)
        request.refresh_from_db()
        assert (request.status, request.progress, request.error) == (ReplyStatus.DONE, 1.0, "")
        assert request.finished_at is not None
        samples = list(Sample.objects.filter(reply_request=request).order_by("index"))
        assert {sample.checkpoint for sample in samples} == {policy, previous}
        assert [sample.index for sample in samples] == [0, 1]
        assert {(s.purpose, s.run, s.num_tokens) for s in samples} == {
            (SamplePurpose.REPLY, None, 7)
        }
        assert samples[0].settings["temperature"] == 1.0
        turn = Turn.objects.get()
        assert sorted(turn.shown_order) == sorted(s.completion_id for s in samples)
        completions = Completion.objects.filter(prompt=turn.prompt)
        assert {c.origin for c in completions} == {Origin.MODEL}
        # Who wrote it stays known.
        origin = completion_get_origin(project, samples[0].completion_id)
        assert origin["sample"]["checkpoint_id"] == samples[0].checkpoint_id
        assert origin["sample"]["run_id"] is None
        assert origin["sample"]["reply_request_id"] == request.pk
        client.force_login(alice)
        path = f"/projects/{project.slug}/completions/{samples[0].completion_id}/lineage/"
        assert "A live reply to somebody at work" in client.get(path).content.decode()
        # The message may come twice.
        reply_answer(request_id=request.pk, generate=replies_echo)
        assert Sample.objects.count() == 2

    def test_before_the_first_deployment_the_reference_answers(
        self, talk: Assignment, project: Project, settings: Settings, data_dir: Path
    ) -> None:
        say(talk)
        answer_waiting()
        assert {s.checkpoint.kind for s in Sample.objects.all()} == {CheckpointKind.BASE}
        # The embedded base model is not there before it was made.
        settings.PREFERENDUM_BASE_MODEL = ""
        with pytest.raises(NoLivePolicy):
            say(talk, "Are you there?")
        assert Turn.objects.count() == 1
        deploy(policy_make(project, "first"))
        say(talk, "Are you there?")
        answer_waiting()
        assert Sample.objects.latest("pk").checkpoint.name == "first"

    def test_sampling_is_as_for_the_answers_that_people_rank(
        self, talk: Assignment, project: Project
    ) -> None:
        loop = loop_settings_ensure(project=project)
        loop.sampling = {"temperature": 0.7, "max_new_tokens": 33}
        loop.save()
        seen: list[ReplyJob] = []

        def generate(job: ReplyJob, beat: Beat) -> list[Reply]:
            seen.append(job)
            return replies_echo(job, beat)

        reply_answer(request_id=say(talk).pk, generate=generate)
        config = seen[0].config
        assert (config["temperature"], config["max_new_tokens"]) == (0.7, 33)
        assert seen[0].messages == [{"role": "user", "content": "Hello"}]

    def test_a_defect_fails_with_a_sentence_and_keeps_the_traceback(
        self, talk: Assignment, client: Client
    ) -> None:
        def broken(job: ReplyJob, beat: Beat) -> list[Reply]:
            raise ZeroDivisionError("the model divided by zero")

        request = say(talk)
        reply_answer(request_id=request.pk, generate=broken)
        request.refresh_from_db()
        assert request.status == ReplyStatus.FAILED
        assert request.error.splitlines()[0] == f"reply_failed: {DEFECT}"
        assert "ZeroDivisionError: the model divided by zero" in request.error
        assert (Completion.objects.count(), Turn.objects.get().shown_order) == (0, [])
        client.force_login(user_make("root", is_staff=True, is_superuser=True))
        page = client.get(f"/admin/training/replyrequest/{request.pk}/change/")
        assert "the model divided by zero" in page.content.decode()
        assert client.get("/admin/training/replyrequest/").status_code == 200
        turn_again(assignment_id=talk.pk, annotator=talk.annotator, turn_id=Turn.objects.get().pk)
        assert answer_waiting() == 1
        request.refresh_from_db()
        assert (request.status, request.error) == (ReplyStatus.DONE, "")
        assert Turn.objects.count() == 1

    def test_two_workers_do_not_answer_twice(self, talk: Assignment) -> None:
        request = say(talk)

        def slow(job: ReplyJob, beat: Beat) -> list[Reply]:
            # The other worker hears the second message now.
            reply_answer(request_id=request.pk, generate=replies_of("x", "y"))
            return replies_echo(job, beat)

        reply_answer(request_id=request.pk, generate=slow)
        assert sorted(Completion.objects.values_list("text", flat=True))[0][:7] == "Reply 1"
        assert Sample.objects.count() == 2

    def test_a_dead_workers_request_waits_again_and_its_late_replies_are_lost(
        self, talk: Assignment
    ) -> None:
        request = say(talk)
        soon = timezone.now() + timedelta(seconds=29)
        late = timezone.now() + timedelta(seconds=31)

        def hang(job: ReplyJob, beat: Beat) -> list[Reply]:
            assert replies_recover(now=soon) == 0
            assert replies_recover(now=late) == 1
            assert ReplyRequest.objects.get().status == ReplyStatus.QUEUED
            reply_answer(request_id=request.pk, generate=replies_of("good", "better"))
            return replies_of("late", "later")(job, beat)

        reply_answer(request_id=request.pk, generate=hang)
        assert set(Completion.objects.values_list("text", flat=True)) == {"good", "better"}
        assert Sample.objects.count() == 2

    def test_what_nobody_waits_for_is_dropped(self, talk: Assignment) -> None:
        waiting = say(talk)
        assignment_skip(assignment_id=talk.pk, annotator=talk.annotator, reason="Enough.")
        reply_answer(request_id=waiting.pk, generate=replies_echo)
        waiting.refresh_from_db()
        assert (waiting.status, waiting.error) == (ReplyStatus.FAILED, f"reply_dropped: {DROPPED}")
        assert not Sample.objects.exists()

    def test_a_task_that_ends_meanwhile_gets_no_replies(self, talk: Assignment) -> None:
        request = say(talk)

        def slow(job: ReplyJob, beat: Beat) -> list[Reply]:
            Assignment.objects.filter(pk=talk.pk).update(
                status=AssignmentStatus.EXPIRED, finished_at=timezone.now()
            )
            return replies_echo(job, beat)

        reply_answer(request_id=request.pk, generate=slow)
        request.refresh_from_db()
        assert (request.status, request.error) == (ReplyStatus.FAILED, f"reply_dropped: {DROPPED}")
        assert not Completion.objects.exists()

    def test_the_tick_rings_for_what_was_not_heard_and_gives_up_in_the_end(
        self, talk: Assignment, rung: Rung, django_capture_on_commit_callbacks: Any
    ) -> None:
        request = say(talk)

        def tick(seconds: int) -> Rung:
            rung.clear()
            with django_capture_on_commit_callbacks(execute=True):
                replies_recover(now=timezone.now() + timedelta(seconds=seconds))
            return list(rung)

        assert tick(5) == []
        assert tick(11) == [("reply_answer", request.pk, "replies")]
        assert tick(14 * 60) == [("reply_answer", request.pk, "replies")]
        assert tick(16 * 60) == []
        request.refresh_from_db()
        assert (request.status, request.error) == (
            ReplyStatus.FAILED,
            f"reply_unheard: {NOBODY_CAME}",
        )

    def test_progress_is_written_now_and_then_and_never_falls(
        self, talk: Assignment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = say(talk)
        seen: list[float] = []
        clock = 0.0
        monkeypatch.setattr("training.services.replying.time.monotonic", lambda: clock)

        def generate(job: ReplyJob, beat: Beat) -> list[Reply]:
            nonlocal clock
            for step in range(21):
                clock = step / 10
                beat(step / 20 if step != 10 else 0.1)
                seen.append(ReplyRequest.objects.get().progress)
            return replies_echo(job, beat)

        reply_answer(request_id=request.pk, generate=generate)
        # Two seconds at a write each 0.4 s, the first tenth beyond 0.34.
        assert [value for value in dict.fromkeys(seen) if value] == [0.2, 0.4, 0.6, 0.8, 1.0]
        assert seen == sorted(seen)


@pytest.mark.django_db
def test_whoever_takes_a_talking_task_has_the_policies_loaded_meanwhile(
    talk: Assignment, project: Project, rung: Rung, django_capture_on_commit_callbacks: Any
) -> None:
    def foresee(seconds: int) -> Rung:
        rung.clear()
        with django_capture_on_commit_callbacks(execute=True):
            replies_foresee(now=talk.claimed_at + timedelta(seconds=seconds))
        return list(rung)

    assert foresee(4) == [("replies_prepare", project.pk, "replies")]
    # Two ticks of five seconds later it is old news.
    assert foresee(11) == []
    Task.objects.filter(pk=talk.task_id).update(kind="prompt_writing")
    assert foresee(4) == []


def test_replies_are_by_different_policies_drawn_by_their_weights() -> None:
    weights = {"policy": 3.0, "previous": 1.0}
    rng = random.Random(1)
    ones = Counter(roles_draw(weights, 1, rng)[0] for _ in range(4000))
    # 3 in 4, with a standard deviation of 27 among 4,000.
    assert abs(ones["policy"] - 3000) < 110
    firsts = Counter()
    for _ in range(2000):
        drawn = roles_draw(weights, 2, rng)
        assert sorted(drawn) == ["policy", "previous"]
        firsts[drawn[0]] += 1
    # Who comes first does not depend on the weights: 1,000, with a standard deviation of 22.
    assert abs(firsts["policy"] - 1000) < 90
    assert Counter(roles_draw(weights, 4, rng)) == {"policy": 2, "previous": 2}
    assert roles_draw({"policy": 1.0}, 2, rng) == ["policy", "policy"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("file_database")
class TestProcess:
    @pytest.fixture(autouse=True)
    def ended(self) -> Iterator[None]:
        yield
        process_end()

    @pytest.fixture
    def asked(
        self, project: Project, bob: User, tmp_path: Path, silence: None, data_dir: Path
    ) -> Callable[..., ReplyRequest]:
        """What Bob said to two live policies."""
        talk = talk_make(project, bob)
        deploy(policy_make(project, "new", tiny_checkpoint(tmp_path / "new", seed=1)))
        deploy(
            policy_make(project, "old", tiny_checkpoint(tmp_path / "old", seed=2)),
            DeploymentRole.PREVIOUS,
        )

        def ask(max_new_tokens: int, text: str = "Hello") -> ReplyRequest:
            loop = loop_settings_ensure(project=project)
            loop.sampling = {"max_new_tokens": max_new_tokens}
            loop.save()
            return say(talk, text)

        return ask

    def test_the_live_policies_answer_and_the_process_stays_for_the_next(
        self, asked: Callable[..., ReplyRequest]
    ) -> None:
        request = asked(20)
        reply_answer(request_id=request.pk)
        request.refresh_from_db()
        assert (request.status, request.error) == (ReplyStatus.DONE, "")
        samples = Sample.objects.filter(reply_request=request).select_related("checkpoint")
        assert {sample.checkpoint.name for sample in samples} == {"new", "old"}
        texts = [sample.completion.text for sample in samples.order_by("index")]
        assert all(texts)
        pid = process_pid()
        # The same request once more: the same words, by the same process.
        _forget(request)
        reply_answer(request_id=request.pk)
        again = Sample.objects.filter(reply_request=request).order_by("index")
        assert [sample.completion.text for sample in again] == texts
        assert process_pid() == pid

    def test_policies_loaded_ahead_answer_when_they_are_asked(
        self, asked: Callable[..., ReplyRequest], project: Project
    ) -> None:
        replies_prepare(project_id=project.pk)
        pid = process_pid()
        assert pid is not None
        assert not Sample.objects.exists()
        request = asked(20)
        reply_answer(request_id=request.pk)
        assert len(_texts(request)) == 2
        assert process_pid() == pid

    def test_a_process_killed_midway_is_replaced_and_the_request_answered(
        self, asked: Callable[..., ReplyRequest]
    ) -> None:
        request = asked(100)
        reply_answer(request_id=request.pk)
        texts = list(_texts(request))
        _forget(request)
        killed: list[int] = []
        shares: list[float] = []

        def generate(job: ReplyJob, beat: Beat) -> list[Reply]:
            def beat_and_kill(share: float | None) -> None:
                if share is not None:
                    shares.append(share)
                if share is not None and not killed:
                    pid = process_pid()
                    assert pid is not None
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)
                beat(share)

            return replies_generate(job, beat_and_kill)

        reply_answer(request_id=request.pk, generate=generate)
        request.refresh_from_db()
        assert (request.status, request.error) == (ReplyStatus.DONE, "")
        assert 0 < shares[0] < 0.5
        assert not is_alive(killed[0])
        assert process_pid() not in (None, killed[0])
        assert list(_texts(request)) == texts

    def test_a_request_that_kills_every_process_is_refused(
        self, asked: Callable[..., ReplyRequest], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        documents = reply_process._document

        def kill(job: ReplyJob) -> dict[str, Any]:
            pid = process_pid()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            return documents(job)

        monkeypatch.setattr(reply_process, "_document", kill)
        request = asked(20)
        reply_answer(request_id=request.pk)
        request.refresh_from_db()
        assert request.status == ReplyStatus.FAILED
        assert request.error.startswith("reply_failed: The model's process ended 2 times")

    def test_a_worker_that_leaves_gives_the_request_back(
        self, asked: Callable[..., ReplyRequest], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = asked(20)
        monkeypatch.setattr("training.services.replying.WorkerWatch", _Leaving)
        reply_answer(request_id=request.pk)
        request.refresh_from_db()
        assert (request.status, request.claimed_at) == (ReplyStatus.QUEUED, None)
        assert process_pid() is None

    def test_a_checkpoint_that_is_gone_tells_admins_but_not_the_person(
        self, asked: Callable[..., ReplyRequest]
    ) -> None:
        request = asked(20)
        for deployment in Deployment.objects.all():
            Path(deployment.checkpoint.location).unlink()
        reply_answer(request_id=request.pk)
        request.refresh_from_db()
        sentence, _, story = request.error.partition("\n")
        assert (request.status, sentence) == (ReplyStatus.FAILED, f"reply_failed: {DEFECT}")
        assert "checkpoint_invalid" in story


class _Leaving:
    is_leaving = True


def _texts(request: ReplyRequest) -> Any:
    samples = Sample.objects.filter(reply_request=request).order_by("index")
    return samples.values_list("completion__text", flat=True)


def _forget(request: ReplyRequest) -> None:
    """The request waits as if nobody had answered it yet."""
    completions = list(Sample.objects.filter(reply_request=request).values_list("completion_id"))
    Sample.objects.filter(reply_request=request).delete()
    Completion.objects.filter(pk__in=[pk for (pk,) in completions]).delete()
    ReplyRequest.objects.filter(pk=request.pk).update(status=ReplyStatus.QUEUED)
