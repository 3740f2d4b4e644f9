"""Many people claim at the same moment, in real threads with real connections."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import Count, Q
from django.utils import timezone

from annotation.choices import AssignmentStatus, PromptSource, TaskStatus
from annotation.judgements import prompt_writing
from annotation.models import Assignment, Prompt, Task
from annotation.services import claims, exclusions, projects
from annotation.services.assignments import (
    assignment_claim,
    assignment_skip,
    assignment_submit,
    assignments_expire,
)
from annotation.services.consents import consent_give, consent_withdraw, kinds_uncapped
from annotation.services.exclusions import labeler_exclude
from annotation.services.leases import assignments_withdraw
from annotation.services.projects import membership_remove, project_update
from annotation.services.prompts import prompt_write, prompts_import
from annotation.services.turns import turn_start
from tests.factories import brief_make, labeler_make, ranking_task_make

pytestmark = pytest.mark.django_db(transaction=True)

NUM_THREADS = 8


@contextmanager
def own_file(folder: Path) -> Iterator[None]:
    """On SQLite, threads see a copy of the test database in a file, as in production.

    The test database itself is in memory, where SQLite locks differently (shared cache).
    """
    if connection.vendor != "sqlite":
        yield
        return
    path = folder / "claims.sqlite3"
    connection.ensure_connection()
    with sqlite3.connect(path) as target:
        connection.connection.backup(target)
        # As migrate leaves it; threads switching to it all at once do not wait for each other.
        target.execute("PRAGMA journal_mode=WAL")
    target.close()
    settings = connections.settings["default"]
    name, settings["NAME"] = settings["NAME"], str(path)
    try:
        yield
    finally:
        settings["NAME"] = name


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Runs the acts in threads that start together; returns their results, raises their errors."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            start.wait(timeout=30)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as threads:
        return [future.result() for future in [threads.submit(run, act) for act in acts]]


def claims_per_task() -> list[tuple[int, int, int, str]]:
    live = Count("assignments", filter=Q(assignments__status__in=AssignmentStatus.LIVE))
    rows = Task.objects.annotate(live=live).order_by("pk")
    return list(rows.values_list("claims", "live", "judgements_wanted", "status"))


def test_simultaneous_claims_fill_every_slot_and_not_one_more(project, tmp_path):
    num_tasks, wanted = 6, 3
    for _ in range(num_tasks):
        ranking_task_make(project, judgements_wanted=wanted)
    labelers = [labeler_make(project) for _ in range(NUM_THREADS)]

    def work(labeler: Any) -> int:
        num_done = 0
        while assignment := assignment_claim(project=project, annotator=labeler):
            order = [[pk] for pk in assignment.shown_order]
            assignment_submit(
                assignment_id=assignment.pk, annotator=labeler, payload={"order": order}
            )
            num_done += 1
        return num_done

    with own_file(tmp_path):
        done = at_once(*(lambda user=user: work(user) for user in labelers))
        [tasks] = at_once(claims_per_task)
    assert sum(done) == num_tasks * wanted
    assert tasks == [(wanted, wanted, wanted, TaskStatus.CLOSED)] * num_tasks


def test_simultaneous_claims_of_single_slots_never_share_a_task(project, tmp_path):
    for _ in range(NUM_THREADS):
        ranking_task_make(project)
    labelers = [labeler_make(project) for _ in range(NUM_THREADS)]
    with own_file(tmp_path):
        claimed = at_once(
            *(
                lambda user=user: assignment_claim(project=project, annotator=user)
                for user in labelers
            )
        )
        [tasks] = at_once(claims_per_task)
    # As many tasks as people: nobody goes empty-handed, nobody shares.
    assert len({assignment.task_id for assignment in claimed}) == NUM_THREADS
    assert tasks == [(1, 1, 1, TaskStatus.OPEN)] * NUM_THREADS


def test_one_person_claiming_in_many_tabs_at_once_keeps_the_count_exact(project, bob, tmp_path):
    for _ in range(3):
        ranking_task_make(project, judgements_wanted=2)
    with own_file(tmp_path):
        claimed = at_once(*[lambda: assignment_claim(project=project, annotator=bob)] * NUM_THREADS)
        [tasks] = at_once(claims_per_task)
    assert all(claimed)
    assert all(claims == live <= 1 for claims, live, _, _ in tasks)


def test_one_judgement_is_stored_when_it_is_submitted_many_times_at_once(project, bob, tmp_path):
    ranking_task_make(project, judgements_wanted=2)
    assignment = assignment_claim(project=project, annotator=bob)
    payload = {"order": [[pk] for pk in assignment.shown_order]}

    def submit() -> str:
        try:
            assignment_submit(assignment_id=assignment.pk, annotator=bob, payload=payload)
        except Exception as error:
            return type(error).__name__
        return "stored"

    with own_file(tmp_path):
        results = Counter(at_once(*[submit] * NUM_THREADS))
        [tasks] = at_once(claims_per_task)
    assert results == {"stored": 1, "AssignmentAlreadySubmitted": NUM_THREADS - 1}
    assert tasks == [(1, 1, 2, TaskStatus.OPEN)]


def test_expiry_racing_with_claims_and_skips_keeps_the_count_exact(project, tmp_path):
    for _ in range(4):
        ranking_task_make(project, judgements_wanted=2)
    labelers = [labeler_make(project) for _ in range(NUM_THREADS - 2)]
    later = timezone.now() + timedelta(days=1)

    def label(labeler: Any) -> None:
        for step in range(6):
            assignment = assignment_claim(project=project, annotator=labeler)
            if assignment is not None and step % 3 == 2:
                assignment_skip(assignment_id=assignment.pk, annotator=labeler, reason="no")

    def sweep() -> None:
        for _ in range(10):
            assignments_expire(now=later)

    with own_file(tmp_path):
        at_once(sweep, sweep, *(lambda user=user: label(user) for user in labelers))
        [tasks] = at_once(claims_per_task)
    assert all(claims == live <= wanted for claims, live, wanted, _ in tasks)


@pytest.fixture
def attacking(project, bob):
    """Bob agreed to attacks, of which there are plenty and one a day for anyone."""
    brief_make(project, "goal", "Get it to swear.")
    project_update(
        actor=None,
        project=project,
        kinds=["red_team"],
        targets={"red_team": NUM_THREADS},
        options={"red_team": {"per_day": 1}},
    )
    consent_give(project=project, user=bob, kind="red_team")
    return project


def test_tabs_that_claim_at_once_are_given_no_more_than_the_cap(attacking, bob, tmp_path):
    with own_file(tmp_path):
        claimed = at_once(
            *[lambda: assignment_claim(project=attacking, annotator=bob)] * NUM_THREADS
        )
        [tasks] = at_once(claims_per_task)
    assert len({assignment.pk for assignment in claimed}) == 1
    assert sum(live for _, live, _, _ in tasks) == 1


def test_whoever_withdraws_a_consent_holds_nothing_even_while_claiming(
    attacking, bob, tmp_path, monkeypatch
):
    allowed, withdrawn = threading.Event(), threading.Event()

    def allow(*args: Any, **kwargs: Any) -> list[str]:
        kinds = kinds_uncapped(*args, **kwargs)
        allowed.set()
        # Never, as long as a withdrawal waits for the claim.
        withdrawn.wait(timeout=1)
        return kinds

    def withdraw() -> None:
        allowed.wait(timeout=30)
        consent_withdraw(project=attacking, user=bob, kind="red_team")
        withdrawn.set()

    monkeypatch.setattr(claims, "kinds_uncapped", allow)
    with own_file(tmp_path):
        claimed, _ = at_once(
            lambda: assignment_claim(project=attacking, annotator=bob, kind="red_team"), withdraw
        )
        [tasks] = at_once(claims_per_task)
        [status] = at_once(lambda: Assignment.objects.get(pk=claimed.pk).status)
    assert status == AssignmentStatus.WITHDRAWN
    assert all(claims == live == 0 for claims, live, _, _ in tasks)


@pytest.fixture
def writing(project, bob):
    """Bob's assignment of a project that also talks, and collects demonstrations of its prompts."""
    project_update(
        actor=None,
        project=project,
        kinds=["prompt_writing", "conversation", "demonstration"],
        targets={"prompt_writing": 1, "conversation": 1},
        demonstrations_target=1,
    )
    return assignment_claim(project=project, annotator=bob, kind="prompt_writing")


def write(assignment: Assignment) -> Any:
    payload = {"form": "plain", "use_case": "chat", "text": "Hello?"}
    return assignment_submit(
        assignment_id=assignment.pk, annotator=assignment.annotator, payload=payload
    )


@pytest.mark.parametrize("act", ["import", "write"])
def test_what_is_said_at_the_same_moment_is_one_prompt(project, writing, tmp_path, act):
    carol = labeler_make(project)
    talk = assignment_claim(project=project, annotator=carol, kind="conversation")
    said = threading.Event()

    def say() -> Any:
        with transaction.atomic():
            turn = turn_start(assignment_id=talk.pk, annotator=carol, text="Hello?")
            said.set()
            # Not seen by anybody yet when the other one looks for it.
            sleep(0.5)
        return turn

    def store() -> None:
        said.wait(timeout=30)
        if act == "write":
            write(writing)
        else:
            lines = ['{"prompt": "Hello?"}', '{"prompt": "Hello?"}', '{"prompt": "And?"}']
            result = prompts_import(actor=None, project=project, lines=lines)
            assert (result.created, result.duplicates) == (2, 1)

    with own_file(tmp_path):
        turn, _ = at_once(say, store)
        [prompt] = at_once(lambda: Prompt.objects.get(pk=turn.prompt_id))
    source = {"import": PromptSource.IMPORTED, "write": PromptSource.WRITTEN}[act]
    assert (prompt.source, prompt.is_active) == (source, True)


@pytest.mark.parametrize("end", [labeler_exclude, membership_remove])
def test_whoever_is_sent_away_while_handing_in_a_prompt_locks_nobody_out(
    project, bob, writing, tmp_path, monkeypatch, end
):
    writes, withdraws = threading.Event(), threading.Event()

    def store(**kwargs: Any) -> Any:
        writes.set()
        # Never, as long as the withdrawal waits for the project.
        withdraws.wait(timeout=1)
        return prompt_write(**kwargs)

    def withdraw(**kwargs: Any) -> int:
        withdraws.set()
        return assignments_withdraw(**kwargs)

    def send_away() -> None:
        writes.wait(timeout=30)
        reason = {"reason": "no"} if end is labeler_exclude else {}
        end(actor=None, project=project, user=bob, **reason)

    monkeypatch.setattr(prompt_writing, "prompt_write", store)
    for service in (exclusions, projects):
        monkeypatch.setattr(service, "assignments_withdraw", withdraw)
    with own_file(tmp_path):
        written, _ = at_once(lambda: write(writing), send_away)
        [status] = at_once(lambda: Assignment.objects.get(pk=writing.pk).status)
    assert status == AssignmentStatus.SUBMITTED
    assert written.prompt.author == bob


def test_nobody_waits_for_a_long_import_on_postgresql(project, bob):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    ranking_task_make(project)
    claimed = threading.Event()

    def slow_import() -> bool:
        with transaction.atomic():
            prompts_import(actor=None, project=project, lines=['{"prompt": "A"}'])
            # The import's locks are held until the claim is through, or the test fails.
            return claimed.wait(timeout=20)

    def claim() -> None:
        sleep(0.3)
        assignment_claim(project=project, annotator=bob)
        claimed.set()

    assert at_once(slow_import, claim)[0]
