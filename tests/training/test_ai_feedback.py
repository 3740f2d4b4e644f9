"""AI labelers against people: measured first, counted last, never on held-out prompts."""

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from annotation.errors import InvalidInput
from annotation.models import (
    AIJudgement,
    AILabeler,
    AIRevision,
    Completion,
    Principle,
    Project,
    Ranking,
)
from annotation.services.exclusions import labeler_exclude
from annotation.services.principles import principle_update
from annotation.services.revisions import revision_approve, revision_refuse
from tests.factories import (
    ai_judgement_make,
    ai_labeler_make,
    ai_revision_make,
    completion_make,
    labeler_make,
    principle_make,
    prompt_make,
    ranking_make,
)
from tests.tiny import tiny_checkpoint
from tests.training.conftest import loop_make
from tests.training.test_snapshots import read
from training.algorithms.data.record_checks import labeler_get, probability_get
from training.algorithms.methods import method_get
from training.choices import FEEDBACK, RunStatus
from training.errors import (
    AIAgreementTooLow,
    AILabelerInactive,
    AILabelerNameTaken,
    ConfigInvalid,
    NoPrinciples,
    NothingToJudge,
)
from training.models import Checkpoint, FeedbackRun, LoopSettings, Run, Sample
from training.selectors.ai_feedback import (
    Decision,
    agreement_with_people,
    ai_labeler_status,
    judgements_counting,
    people_agreement,
    people_decisions,
    setting_hash,
)
from training.selectors.judgements import held_count
from training.services.ai_feedback import feedback_records, feedback_register, feedback_start
from training.services.ai_labelers import ai_labeler_create, ai_labeler_update
from training.services.base_model import base_checkpoint_get
from training.services.run_execution import run_execute
from training.services.run_folder import run_folder_prepare
from training.services.runs import run_cancel, run_create
from training.services.snapshots import HELD_OUT, TRAIN, prompt_split, snapshot_create

pytestmark = pytest.mark.django_db

# Half of them are held out: that all fall on one side has a chance of 1 in 32,768.
NUM_PROMPTS = 16
SERVER = {"server_url": "http://judge:1"}


def pair_of(ranking: Ranking) -> tuple[Completion, Completion]:
    """The better completion first."""
    items = ranking.items.order_by("rank").select_related("completion__prompt")
    first, second = (item.completion for item in items)
    return first, second


def side(prompt, loop: LoopSettings) -> str:
    return prompt_split(prompt.content_hash, loop.held_out_percent)


def sampled(loop: LoopSettings, num_prompts: int, texts: tuple[str, ...]) -> list[list[Completion]]:
    """Answers of a sampling run to new prompts, which nobody has judged."""
    checkpoint = base_checkpoint_get(base_model=loop.base_model)
    run = run_create(settings=loop, step="sample", method=method_get("sample"), seed=1)
    found = []
    for _ in range(num_prompts):
        prompt = prompt_make(loop.project)
        found.append([completion_make(prompt, text) for text in texts])
        for completion in found[-1]:
            Sample.objects.create(
                completion=completion,
                checkpoint=checkpoint,
                run=run,
                index=Sample.objects.count(),
                settings={},
                seed=1,
                num_tokens=1,
                finished=True,
                purpose="ranking",
            )
    return found


@pytest.fixture
def small(small: LoopSettings) -> LoopSettings:
    small.held_out_percent = 50
    small.save()
    return small


@pytest.fixture
def labeler(project: Project) -> AILabeler:
    principle_make(project, "Be kind.", "kind")
    return ai_labeler_make(project, name="judge")


@pytest.fixture
def measured(labeler: AILabeler, project: Project, bob: User, small: LoopSettings) -> AILabeler:
    """30 prompts with one decided pair each; the labeler is on Bob's side in 27."""
    current = setting_hash(labeler)
    for number in range(30):
        better, worse = pair_of(ranking_make(project, bob, places=((0,), (1,))))
        ai_judgement_make(labeler, better, worse, 0.9 if number < 27 else 0.2, current)
    return labeler


# ---- agreement


def test_agreement_is_the_share_of_decisions_on_the_same_side(measured: AILabeler) -> None:
    status = ai_labeler_status(measured)
    agreement = status.agreement
    assert agreement.share == pytest.approx(27 / 30)
    assert (agreement.num_decisions, agreement.num_prompts) == (30, 30)
    assert (status.num_judgements, status.num_hard) == (30, 0)
    assert status.order_gap == pytest.approx(0.1)
    # Residuals of 27 prompts 0.1, of 3 prompts 0.9: squares sum to 2.7. Variance of the share
    # 2.7 / 30^2 * 30 / 29 = 0.00310345, so 0.9 * 0.1 / that = 29 trials. Wilson at 0.9 of 29:
    # (0.9 + 3.8415 / 58) / (1 + 3.8415 / 29) = 0.85321, half width 0.11277.
    assert agreement.low == pytest.approx(0.74044, abs=1e-4)
    assert agreement.high == pytest.approx(0.96598, abs=1e-4)


def test_decisions_of_one_prompt_are_one_cluster(
    labeler: AILabeler, project: Project, bob: User, small: LoopSettings
) -> None:
    # Three answers in strict order: three pairs of one prompt, judged as Bob did.
    ranking = ranking_make(project, bob, places=((2,), (0,), (1,)))
    ranks = {item.completion: item.rank for item in ranking.items.select_related("completion")}
    ordered = sorted(ranks, key=lambda completion: ranks[completion])
    for i, better in enumerate(ordered):
        for worse in ordered[i + 1 :]:
            ai_judgement_make(labeler, better, worse, 0.6, setting_hash(labeler))
    agreement = ai_labeler_status(labeler).agreement
    assert (agreement.share, agreement.num_decisions, agreement.num_prompts) == (1.0, 3, 1)
    # One cluster that is all right counts as one trial: 1 / (1 + 3.8415).
    assert agreement.low == pytest.approx(0.2065, abs=1e-4)


def test_half_takes_no_side_and_ties_say_nothing(
    labeler: AILabeler, project: Project, bob: User, small: LoopSettings
) -> None:
    better, worse = pair_of(ranking_make(project, bob, places=((0,), (1,))))
    ai_judgement_make(labeler, better, worse, 0.5, setting_hash(labeler))
    ranking_make(project, bob, places=((0, 1),))
    assert ai_labeler_status(labeler).agreement.share == 0.5
    assert len(people_decisions(project)) == 1


def test_people_agree_with_each_other_by_pairs_decided_twice() -> None:
    decisions = [
        Decision(1, 10, 11, True),
        Decision(1, 10, 11, True),
        Decision(1, 10, 11, False),  # of three people's three pairs one agrees
        Decision(2, 20, 21, False),
        Decision(2, 20, 21, False),  # agrees
        Decision(3, 30, 31, True),  # decided once
    ]
    agreement = people_agreement(decisions)
    assert agreement.share == pytest.approx(2 / 4)
    assert (agreement.num_decisions, agreement.num_prompts) == (4, 2)
    assert people_agreement([]).share is None


def test_excluded_people_are_not_measured_against(
    measured: AILabeler, project: Project, bob: User, alice: User
) -> None:
    labeler_exclude(project=project, user=bob, actor=alice, reason="Random clicks")
    assert ai_labeler_status(measured).agreement.num_decisions == 0


# ---- when labels count


@pytest.fixture
def unjudged(measured: AILabeler, small: LoopSettings) -> list[AIJudgement]:
    """Its labels of pairs that no person saw, on both sides of the split."""
    pairs = sampled(small, NUM_PROMPTS, ("one", "two"))
    assert {side(first.prompt, small) for first, _ in pairs} == {TRAIN, HELD_OUT}
    return [ai_judgement_make(measured, *pair, 0.8, setting_hash(measured)) for pair in pairs]


def ai_lines(loop: LoopSettings) -> list[dict]:
    snapshot = snapshot_create(project=loop.project, settings=loop)
    return [record for record in read(snapshot, "rankings") if record.get("labeler") == "ai"]


def test_labels_enter_a_snapshot_only_when_switched_on(
    measured: AILabeler, unjudged: list[AIJudgement], small: LoopSettings, alice: User
) -> None:
    assert ai_lines(small) == []
    ai_labeler_update(labeler=measured, actor=alice, counts=True, weight=0.25)
    snapshot = snapshot_create(project=small.project, settings=small)
    records = [each for each in read(snapshot, "rankings") if each["kind"] == "ai"]
    on_train = [each for each in unjudged if side(each.prompt, small) == TRAIN]
    assert [each["id"] for each in records] == [each.pk for each in on_train]
    record = records[0]
    assert (record["labeler"], record["split"]) == ("ai", TRAIN)
    assert (record["probability"], record["weight"]) == (0.8, 0.25)
    # The reward model's own readers take it as it is.
    assert (probability_get(record, 2), labeler_get(record)) == (0.8, "ai")
    assert (record["completions"], record["ranks"]) == (["one", "two"], [1, 2])
    assert len(record["sources"]) == 2
    # People's are counted apart, and the lineage names each label.
    assert sum(snapshot.manifest["rankings"].values()) == 30
    assert snapshot.manifest["ai"] == {"rankings": len(on_train), "demonstrations": 0}
    assert set(snapshot.ai_judgements.all()) == set(on_train)
    assert held_count(snapshot, "rankings") == 30


def test_held_out_prompts_never_get_an_ai_record(
    measured: AILabeler, unjudged: list[AIJudgement], small: LoopSettings, alice: User
) -> None:
    ai_labeler_update(labeler=measured, actor=alice, counts=True)
    assert any(side(each.prompt, small) == HELD_OUT for each in unjudged)
    records = ai_lines(small)
    assert records
    assert {record["split"] for record in records} == {TRAIN}
    held_out = {each.prompt_id for each in unjudged if side(each.prompt, small) == HELD_OUT}
    assert held_out.isdisjoint(record["prompt_id"] for record in records)


def test_a_labeler_that_was_not_measured_cannot_be_switched_on(
    labeler: AILabeler, small: LoopSettings, alice: User
) -> None:
    with pytest.raises(AIAgreementTooLow, match="0 prompts"):
        ai_labeler_update(labeler=labeler, actor=alice, counts=True)
    labeler.refresh_from_db()
    assert not labeler.counts


def test_a_labeler_that_disagrees_cannot_be_switched_on(measured: AILabeler, alice: User) -> None:
    with pytest.raises(AIAgreementTooLow, match=r"74%.*below the 80%"):
        ai_labeler_update(labeler=measured, actor=alice, min_agreement=0.8, counts=True)
    measured.refresh_from_db()
    assert (measured.counts, measured.min_agreement) == (False, 0.6)


def test_labels_stop_counting_when_people_disagree_later(
    measured: AILabeler, unjudged: list[AIJudgement], project: Project, alice: User
) -> None:
    ai_labeler_update(labeler=measured, actor=alice, counts=True)
    assert judgements_counting(project)
    AIJudgement.objects.exclude(pk__in=[each.pk for each in unjudged]).update(probability=0.5)
    assert judgements_counting(project) == []


def test_few_prompts_are_not_enough(
    labeler: AILabeler, project: Project, bob: User, small: LoopSettings
) -> None:
    for _ in range(19):  # all right: Wilson's lower end is 19 / 22.84 = 0.83
        better, worse = pair_of(ranking_make(project, bob, places=((0,), (1,))))
        ai_judgement_make(labeler, better, worse, 0.9, setting_hash(labeler))
    status = ai_labeler_status(labeler)
    assert status.agreement.low == pytest.approx(0.832, abs=1e-3)
    assert status.refusal is not None
    assert "19 prompts" in status.refusal


def test_an_edited_principle_must_be_measured_anew_and_the_old_text_stays(
    measured: AILabeler, unjudged: list[AIJudgement], project: Project, alice: User
) -> None:
    ai_labeler_update(labeler=measured, actor=alice, counts=True)
    assert judgements_counting(project)
    principle = Principle.objects.get(name="kind")
    old = principle.version
    principle_update(principle=principle, actor=alice, text="Be rude.")
    assert judgements_counting(project) == []
    assert ai_labeler_status(measured).agreement.num_decisions == 0
    old.refresh_from_db()
    assert old.text == "Be kind."
    # The former text again is the former setting again.
    principle_update(principle=principle, actor=alice, text="Be kind.")
    assert judgements_counting(project)


def test_another_model_must_be_measured_anew(
    measured: AILabeler, unjudged: list[AIJudgement], project: Project, alice: User
) -> None:
    ai_labeler_update(labeler=measured, actor=alice, counts=True)
    ai_labeler_update(labeler=measured, actor=alice, config=SERVER | {"server_model": "other"})
    assert judgements_counting(project) == []


def test_a_persons_word_goes_before(
    measured: AILabeler, project: Project, bob: User, alice: User
) -> None:
    ai_labeler_update(labeler=measured, actor=alice, counts=True)
    # All its judgements so far are of pairs that Bob decided.
    assert measured.judgements.count() == 30
    assert judgements_counting(project) == []


# ---- revisions


def test_revisions_are_demonstrations_once_approved(
    labeler: AILabeler, project: Project, small: LoopSettings, alice: User
) -> None:
    prompts = [prompt_make(project) for _ in range(NUM_PROMPTS)]
    revisions = [ai_revision_make(labeler, prompt) for prompt in prompts]
    assert {side(prompt, small) for prompt in prompts} == {TRAIN, HELD_OUT}
    assert read(snapshot_create(project=project, settings=small), "demonstrations") == []
    refused, *approved = revisions
    revision_refuse(revision=refused, actor=alice)
    for revision in approved:
        revision_approve(revision=revision, actor=alice)
    snapshot = snapshot_create(project=project, settings=small)
    records = read(snapshot, "demonstrations")
    expected = [each for each in approved if side(each.prompt, small) == TRAIN]
    assert [record["id"] for record in records] == [each.pk for each in expected]
    assert {record["kind"] for record in records} == {"ai_revision"}
    assert {record["completion"] for record in records} == {"A kinder answer."}
    assert snapshot.manifest["ai"]["demonstrations"] == len(expected)
    assert sum(snapshot.manifest["demonstrations"].values()) == 0
    assert set(snapshot.ai_revisions.all()) == set(expected)


def test_what_an_excluded_person_approved_does_not_count(
    labeler: AILabeler, project: Project, small: LoopSettings, alice: User
) -> None:
    for _ in range(NUM_PROMPTS):
        revision_approve(revision=ai_revision_make(labeler, prompt_make(project)), actor=alice)
    assert read(snapshot_create(project=project, settings=small), "demonstrations")
    labeler_exclude(project=project, user=alice, actor=None, reason="Approved everything")
    assert read(snapshot_create(project=project, settings=small), "demonstrations") == []


# ---- labelers


def test_a_new_labeler_has_an_account_that_cannot_log_in(project: Project, alice: User) -> None:
    labeler = ai_labeler_create(
        project=project, actor=alice, name="judge", kind="endpoint", config=SERVER
    )
    assert not labeler.user.is_active
    assert not labeler.user.has_usable_password()
    assert not labeler.counts
    with pytest.raises(AILabelerNameTaken):
        ai_labeler_create(
            project=project, actor=alice, name="judge", kind="endpoint", config=SERVER
        )


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("endpoint", {}),
        ("endpoint", {"server_url": "judge:8000"}),
        ("endpoint", SERVER | {"checkpoint_id": 1}),
        ("endpoint", SERVER | {"api_key": "secret"}),
        ("checkpoint", {}),
        ("checkpoint", {"checkpoint_id": 999}),
        ("checkpoint", {"checkpoint_id": "1"}),
        ("checkpoint", SERVER),
    ],
)
def test_configs_that_name_no_judge_are_refused(
    project: Project, alice: User, kind: str, config: dict
) -> None:
    with pytest.raises(ConfigInvalid):
        ai_labeler_create(project=project, actor=alice, name="judge", kind=kind, config=config)
    assert not AILabeler.objects.exists()
    assert not User.objects.filter(username__startswith="ai:").exists()


def test_counting_cannot_be_switched_on_at_birth(project: Project, alice: User) -> None:
    with pytest.raises(InvalidInput, match="counts"):
        ai_labeler_create(
            project=project, actor=alice, name="j", kind="endpoint", config=SERVER, counts=True
        )


def test_a_reward_model_judges_no_texts(project: Project, alice: User, small: LoopSettings) -> None:
    run = run_create(settings=small, step="sft", method=method_get("sft"), seed=1)
    made = Checkpoint.objects.create(
        project=project, run=run, kind="reward_model", name="rm", path="runs/1/output"
    )
    with pytest.raises(ConfigInvalid, match="a policy, SFT or base checkpoint"):
        ai_labeler_create(
            project=project,
            actor=alice,
            name="judge",
            kind="checkpoint",
            config={"checkpoint_id": made.pk},
        )


# ---- runs


def test_measuring_asks_about_decided_pairs_once(
    labeler: AILabeler, project: Project, bob: User, small: LoopSettings, alice: User
) -> None:
    pairs = [sorted(pair_of(ranking_make(project, bob, places=((1,), (0,)))), key=lambda c: c.pk)]
    pairs += [sorted(pair_of(ranking_make(project, bob, places=((0,), (1,)))), key=lambda c: c.pk)]
    run = feedback_start(labeler=labeler, purpose="measure", actor=alice)
    assert (run.step, run.method, run.queue) == (FEEDBACK, "ai_feedback", "sample")
    assert run.config["server_url"] == "http://judge:1"
    records = list(feedback_records(run, "pairs"))
    assert [record["completions"] for record in records] == [[a.text, b.text] for a, b in pairs]
    assert [record["pair_id"] for record in records] == [f"{a.pk}-{b.pk}" for a, b in pairs]
    (principle,) = feedback_records(run, "principles")
    assert principle["text"] == "Be kind."

    # An edit while the run waits changes nothing of what it asks.
    principle_update(principle=Principle.objects.get(), actor=alice, text="Be rude.")
    assert list(feedback_records(run, "principles")) == [principle]

    ai_judgement_make(labeler, *pairs[0], 0.7, setting_hash(labeler))
    run = feedback_start(labeler=labeler, purpose="measure", actor=alice)
    assert [record["pair_id"] for record in feedback_records(run, "pairs")] == [
        f"{pairs[1][0].pk}-{pairs[1][1].pk}"
    ]


def test_labeling_asks_about_pairs_nobody_decided_on_trained_prompts(
    labeler: AILabeler, project: Project, bob: User, small: LoopSettings, alice: User
) -> None:
    ranking_make(project, bob)  # not sampled
    answers = sampled(small, NUM_PROMPTS, ("one", " one ", "two"))
    run = feedback_start(labeler=labeler, purpose="label", actor=alice, num=3)
    rest = feedback_start(labeler=labeler, purpose="label", actor=alice)
    expected = [
        [one.pk, two.pk]
        for first, again, two in answers
        for one in (first, again)
        if side(first.prompt, small) == TRAIN
    ]
    some, others = (FeedbackRun.objects.get(run=each).pairs for each in (run, rest))
    # What a run is asking is not asked again, unless it ends without an answer.
    assert len(some) == 3
    assert sorted(some + others) == sorted(expected)
    with pytest.raises(NothingToJudge):
        feedback_start(labeler=labeler, purpose="label", actor=alice)
    run_cancel(run=run)
    again = feedback_start(labeler=labeler, purpose="label", actor=alice)
    assert FeedbackRun.objects.get(run=again).pairs == some


def test_there_must_be_something_to_do(project: Project, alice: User, small: LoopSettings) -> None:
    labeler = ai_labeler_make(project)
    with pytest.raises(NoPrinciples):
        feedback_start(labeler=labeler, purpose="measure", actor=alice)
    principle_make(project)
    for purpose in ("measure", "label", "revise"):
        with pytest.raises(NothingToJudge):
            feedback_start(labeler=labeler, purpose=purpose, actor=alice)
    ai_labeler_update(labeler=labeler, actor=alice, is_active=False)
    with pytest.raises(AILabelerInactive):
        feedback_start(labeler=labeler, purpose="measure", actor=alice)
    assert not Run.objects.exists()


def test_judgements_name_the_texts_that_were_asked(
    labeler: AILabeler,
    project: Project,
    bob: User,
    small: LoopSettings,
    alice: User,
    tmp_path: Path,
) -> None:
    ranking_make(project, bob, places=((0,), (1,)))
    asked_in = setting_hash(labeler)
    run = feedback_start(labeler=labeler, purpose="measure", actor=alice)
    (pair,), (principle,) = feedback_records(run, "pairs"), feedback_records(run, "principles")
    said = {"principle_id": principle["principle_id"], "probability": 0.9, "order_gap": 0.2}
    line = {"pair_id": pair["pair_id"], "probability": 0.9, "order_gap": 0.2, "hard": False}
    (tmp_path / "judgements.jsonl").write_text(json.dumps(line | {"principles": [said]}) + "\n")
    principle_update(principle=Principle.objects.get(), actor=alice, text="Be rude.")
    for _ in range(2):  # a second registration adds nothing
        feedback_register(run=run, folder=tmp_path)
    judgement = AIJudgement.objects.get()
    assert (judgement.probability, judgement.order_gap, judgement.run_id) == (0.9, 0.2, run.pk)
    assert judgement.setting_hash == asked_in
    (kept,) = judgement.principles
    version = Principle.objects.get().versions.get(number=1)
    assert (kept["version"], kept["hash"]) == (version.pk, version.text_hash)
    assert version.text == "Be kind."


def test_revisions_wait_for_a_person(
    labeler: AILabeler, project: Project, small: LoopSettings, alice: User, tmp_path: Path
) -> None:
    prompts = [prompt_make(project) for _ in range(NUM_PROMPTS)]
    run = feedback_start(labeler=labeler, purpose="revise", actor=alice)
    assert run.method == "revise"
    assert run.prompt_ids == [p.pk for p in prompts if side(p, small) == TRAIN]
    data = run_folder_prepare(run) / "data"
    written = [json.loads(each) for each in (data / "prompts.jsonl").read_text().splitlines()]
    assert [(each["prompt_id"], each["split"]) for each in written] == [
        (pk, TRAIN) for pk in run.prompt_ids
    ]
    version = Principle.objects.get().version
    (principle,) = map(json.loads, (data / "principles.jsonl").read_text().splitlines())
    assert principle == {"principle_id": version.pk, "text": "Be kind."}
    line = {"prompt_id": run.prompt_ids[0], "step": 0, "principle_id": version.pk}
    line |= {"initial": "no", "critique": "rude", "revision": "yes"}
    (tmp_path / "revisions.jsonl").write_text(json.dumps(line) + "\n")
    for _ in range(2):
        feedback_register(run=run, folder=tmp_path)
    revision = AIRevision.objects.get()
    assert (revision.status, revision.revision, revision.run_id) == ("waiting", "yes", run.pk)
    # Its prompt is not asked about again, the others are once the run is over.
    run_cancel(run=run)
    again = feedback_start(labeler=labeler, purpose="revise", actor=alice)
    assert again.prompt_ids == run.prompt_ids[1:]


@pytest.mark.django_db(transaction=True)
def test_a_checkpoint_judges_in_a_worker(
    project: Project,
    bob: User,
    alice: User,
    settings: Settings,
    silence: None,
    file_database: None,
    tmp_path: Path,
) -> None:
    base = tiny_checkpoint(tmp_path / "judge")
    document = json.loads((base / "config.json").read_text())
    # Positions are rotations, so a longer context needs no other weights.
    (base / "config.json").write_text(json.dumps(document | {"max_position_embeddings": 2048}))
    settings.PREFERENDUM_BASE_MODEL = str(base)
    loop_make(project)
    principle_make(project, "Be kind.")
    checkpoint = base_checkpoint_get(base_model="")
    labeler = ai_labeler_create(
        project=project,
        actor=alice,
        name="tiny",
        kind="checkpoint",
        config={"checkpoint_id": checkpoint.pk, "batch_pairs": 2},
    )
    carol = labeler_make(project, "carol")
    for person in (bob, carol, bob):
        ranking_make(project, person, places=((0,), (1,)))
    run = feedback_start(labeler=labeler, purpose="measure", actor=alice)
    run_execute(run_id=run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED, run.error_text
    judgements = list(AIJudgement.objects.all())
    assert len(judgements) == 3
    assert all(0 < each.probability < 1 and not each.is_hard for each in judgements)
    agreement = agreement_with_people(labeler, people_decisions(project))
    assert (agreement.num_decisions, agreement.num_prompts) == (3, 3)
    assert run.result["metrics"]["ai_feedback/num_judgements"] == 3
