"""Several policies in one sampling run, and what a selection shows of their candidates."""

import json
from collections import Counter, defaultdict

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.tiny import prompt_records, run_folder_make, tiny_checkpoint
from tests.training.algorithms.conftest import folder_for, result_read
from tests.training.algorithms.test_resume import _Death, _die_at, _outcome
from training.algorithms.asking.completions import disagreement, preference_variance
from training.algorithms.data.chat import completion_encode, prompt_encode
from training.algorithms.entry import EXIT_EXPECTED, run_folder
from training.algorithms.measuring.ensemble import ensemble_load, ensemble_scores
from training.algorithms.models.checkpoint_io import reward_model_load
from training.algorithms.sample import candidates

ROLES = ["policy", "policy_2", "policy", "reference"]


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    root = tmp_path_factory.mktemp("policies")
    names = ("policy", "policy_2", "reference")
    return {name: tiny_checkpoint(root / name, seed) for seed, name in enumerate(names)}


@pytest.fixture(scope="module")
def reward_model(tmp_path_factory, chain):
    folder = folder_for(
        "reward_model", tmp_path_factory.mktemp("reward") / "run", chain, num_heads=6
    )
    assert run_folder("reward_model", str(folder)) == 0
    return folder / "output"


def _records(num, roles=None, num_held_out=0):
    records = prompt_records(num, num_held_out)
    return [record | {"roles": roles} for record in records] if roles else records


def _folder(folder, inputs, records, **config):
    config = {"max_new_tokens": 6, "batch_rows": 8} | config
    return run_folder_make(folder, "sample", config, inputs, {"prompts": records})


def _run(folder):
    assert run_folder("sample", str(folder)) == 0, (folder / "error.json").read_text()
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def _by_prompt(samples):
    found = defaultdict(list)
    for sample in samples:
        found[sample["prompt_id"]].append(sample)
    return found


def test_each_completion_is_drawn_by_the_policy_its_prompt_names(tmp_path, policies):
    records = _records(6, ROLES)
    records[0] = records[0] | {"roles": ["reference", "policy_2", "policy_2", "policy_2"]}
    samples = _run(_folder(tmp_path / "run", policies, records))
    assert [sample["index"] for sample in samples] == list(range(24))
    for record, own in zip(records, _by_prompt(samples).values(), strict=True):
        assert [sample["role"] for sample in own] == record["roles"]


def test_each_policy_says_what_its_own_weights_say(tmp_path, tokenizer, policies):
    """Near temperature 0 a completion is the greedy one of transformers' own generate."""
    records = _records(5, ["policy", "policy_2", "reference"])
    samples = _run(
        _folder(tmp_path / "run", policies, records, temperature=1e-4, num_completions=3)
    )
    greedy = {}
    for role, location in policies.items():
        model = AutoModelForCausalLM.from_pretrained(location).eval()
        for record in records:
            ids = prompt_encode(tokenizer, record["prompt"])
            out = model.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False)
            text = tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)
            greedy[record["prompt_id"], role] = text.strip()
    told = {(sample["prompt_id"], sample["role"]): sample["text"] for sample in samples}
    assert told == greedy
    # The three differ, or this says nothing about whose weights were read.
    assert len({told[0, role] for role in policies}) == 3


def test_a_candidate_does_not_depend_on_who_else_answers(tmp_path, policies):
    """Unless two say the same, which six bytes of a random model hardly do."""
    alone = _run(_folder(tmp_path / "alone", policies, _records(6)))
    mixed = _run(_folder(tmp_path / "mixed", policies, _records(6, ROLES)))
    for one, other in zip(alone, mixed, strict=True):
        if other["role"] == "policy":
            assert one == other
        else:
            assert one["text"] != other["text"]


def test_policies_that_say_the_same_draw_again_and_neither_more_often(tmp_path, policies):
    """Twice the same weights, one byte a completion: where they agree, a coin says who yields."""
    twice = {"policy": policies["policy"], "previous": policies["policy"]}
    records = [record | {"prompt_id": str(i)} for i, record in enumerate(_records(150))]
    config = {"num_completions": 2, "max_new_tokens": 1, "temperature": 0.5}
    mixed = [record | {"roles": ["policy", "previous"]} for record in records]
    kept = _run(_folder(tmp_path / "kept", twice, mixed, **config, max_resamples=0))
    anew = _run(_folder(tmp_path / "anew", twice, mixed, **config, max_resamples=20))
    equal = [own for own in _by_prompt(kept).values() if own[0]["text"] == own[1]["text"]]
    assert len(equal) >= 20
    assert all(own[0]["text"] != own[1]["text"] for own in _by_prompt(anew).values())
    redrawn = Counter()
    for before, after in zip(kept, anew, strict=True):
        if before["text"] and before["seed"] != after["seed"]:
            redrawn[after["role"]] += 1
    share = redrawn["policy"] / redrawn.total()
    assert abs(share - 0.5) < 4 * 0.5 / redrawn.total() ** 0.5
    assert min(redrawn["policy"], redrawn["previous"]) > 0


def test_one_policy_is_in_memory_at_a_time(tmp_path, policies, monkeypatch):
    import gc
    import weakref

    opened = []
    original = candidates.generator_open

    def counted(*args):
        gc.collect()
        assert not any(model() for model in opened), "the one before is still there"
        generator = original(*args)
        opened.append(weakref.ref(generator.model))
        return generator

    monkeypatch.setattr(candidates, "generator_open", counted)
    _run(_folder(tmp_path / "run", policies, _records(5, ROLES)))
    assert len(opened) == 3


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6])
@pytest.mark.parametrize("where", ["progress_write", "state_save"])
def test_death_between_policies_changes_nothing(tmp_path, policies, monkeypatch, where, number):
    """12 prompts in two chunks for each of two policies that often say the same."""
    roles = ["policy", "policy_2"]
    twice = {"policy": policies["policy"], "policy_2": policies["policy"]}
    monkeypatch.setattr("training.algorithms.sample.prompts.CHUNK_BATCHES", 1)
    folders = [
        _folder(
            tmp_path / name, twice, _records(12, roles), num_completions=2, max_new_tokens=1,
            temperature=0.3,
        )
        for name in ("whole", "broken")
    ]  # fmt: skip
    _run(folders[0])
    with monkeypatch.context() as patch:
        _die_at(patch, where, number)
        try:
            run_folder("sample", str(folders[1]))
        except _Death:
            assert not (folders[1] / "result.json").exists()
    _run(folders[1])
    assert _outcome(folders[1]) == _outcome(folders[0])


def test_a_restart_goes_on_with_the_chunk_it_was_in(tmp_path, policies, monkeypatch):
    monkeypatch.setattr("training.algorithms.sample.prompts.CHUNK_BATCHES", 1)
    folder = _folder(tmp_path / "run", policies, _records(12, ["policy", "policy_2"]),
                     num_completions=2)  # fmt: skip
    with monkeypatch.context() as patch:
        _die_at(patch, "state_save", 4)
        with pytest.raises(_Death):
            run_folder("sample", str(folder))
    drawn, original = [], candidates.slots_draw

    def counted(generator, prompts, slots, *args):
        drawn.append(len(slots))
        return original(generator, prompts, slots, *args)

    monkeypatch.setattr(candidates, "slots_draw", counted)
    _run(folder)
    # Of chunks of 8 and 4 prompts for each policy the last was not saved.
    assert drawn == [4]


@pytest.mark.parametrize("roles", [["policy"], ["policy"] * 3, "policy", [1, 2]])
def test_roles_that_are_not_one_name_for_each_candidate_are_refused(tmp_path, policies, roles):
    records = [record | {"roles": roles} for record in _records(2)]
    folder = _folder(tmp_path / "run", policies, records, num_completions=2)
    assert run_folder("sample", str(folder)) == EXIT_EXPECTED
    assert "one for each completion drawn" in (folder / "error.json").read_text()


def test_a_role_without_a_checkpoint_is_refused(tmp_path, policies):
    folder = _folder(tmp_path / "run", policies, _records(2, ["policy", "heir"]), num_completions=2)
    assert run_folder("sample", str(folder)) == EXIT_EXPECTED
    assert "names no input checkpoint 'heir'" in (folder / "error.json").read_text()


# ---- selection


@pytest.mark.parametrize("selection", ["disagreement", "thompson", "top_two"])
def test_a_selection_shows_some_of_the_candidates_of_some_prompts(
    tmp_path, policies, reward_model, selection
):
    inputs = policies | {"reward_model": reward_model}
    config = {"num_completions": 2, "num_candidates": 4}
    records = _records(20, ROLES, num_held_out=5)
    pool = {s["index"]: s for s in _run(_folder(tmp_path / "pool", policies, records))}
    chosen = {"selection": selection, "num_prompts": 8, "random_share": 0.5}
    folder = _folder(tmp_path / "run", inputs, records, **config, **chosen)
    samples = _run(folder)
    # What is shown was drawn as it would have been without a selection.
    assert samples == [pool[sample["index"]] for sample in samples]
    shown = _by_prompt(samples)
    assert [len(own) for own in shown.values()] == [2] * 8
    asked = result_read(folder)["data"]["asked"]
    assert [each["prompt_id"] for each in asked] == list(shown)
    # 8 * 5/20 = 2 held out; of the other 6 one half by chance.
    by_chance = [each for each in asked if each["strategy"] == "random"]
    assert sum(each["prompt_id"] >= 15 for each in by_chance) == 2
    assert len(by_chance) == 5
    assert {each["score"] for each in by_chance} == {None}
    by_rule = [each for each in asked if each["strategy"] != "random"]
    assert {each["strategy"] for each in by_rule} == {selection}
    assert all(isinstance(each["score"], float) for each in by_rule)
    metrics = result_read(folder)["metrics"]
    assert metrics["sample/num_asked"] == 8
    assert metrics["sample/num_asked_randomly"] == 5


def test_the_scores_are_those_of_the_reward_models_heads(
    tmp_path, tokenizer, policies, reward_model
):
    """Recomputed one completion at a time from the hidden state at its EOS."""
    inputs = policies | {"reward_model": reward_model}
    records = _records(4)
    pool = _by_prompt(_run(_folder(tmp_path / "pool", policies, records)))
    config = {"num_completions": 2, "num_candidates": 4, "selection": "disagreement"}
    folder = _folder(tmp_path / "run", inputs, records, **config)
    shown = _by_prompt(_run(folder))
    model, ensemble = reward_model_load(str(reward_model), tokenizer), ensemble_load(reward_model)
    assert ensemble is not None
    variances = []
    for record, asked in zip(records, result_read(folder)["data"]["asked"], strict=True):
        own = pool[record["prompt_id"]]
        rows = []
        for sample in own:
            ids = prompt_encode(tokenizer, record["prompt"])
            ids = ids + completion_encode(tokenizer, sample["text"])
            with torch.no_grad():
                rows.append(model.model(torch.tensor([ids])).last_hidden_state[0, -1])
        values = ensemble_scores(ensemble, torch.stack(rows))
        rule = disagreement(values, 2, torch.Generator())
        assert [s["text"] for s in shown[record["prompt_id"]]] == [
            own[place]["text"] for place in sorted(rule.places)
        ]
        assert asked["score"] == pytest.approx(rule.score, rel=1e-4)
        variances.append(preference_variance(values)[rule.places].item())
    metrics = result_read(folder)["metrics"]
    mean = sum(variances) / 4
    assert metrics["sample/variance_chosen"] == pytest.approx(mean, rel=1e-4)
    assert "sample/variance_random" not in metrics


def test_prompts_with_one_answer_are_not_asked(tmp_path, policies, reward_model):
    inputs = policies | {"reward_model": reward_model}
    config = {"num_completions": 2, "temperature": 1e-4, "max_resamples": 1}
    folder = _folder(tmp_path / "run", inputs, _records(3), **config, selection="top_two")
    assert _run(folder) == []
    assert result_read(folder)["data"]["asked"] == []
    assert result_read(folder)["metrics"]["sample/num_samples"] == 0


def test_death_while_scoring_changes_nothing(tmp_path, policies, reward_model, monkeypatch):
    inputs = policies | {"reward_model": reward_model}
    config = {"num_completions": 2, "num_candidates": 4, "selection": "thompson"}
    folders = [
        _folder(tmp_path / name, inputs, _records(5, ROLES), **config) for name in ("whole", "not")
    ]
    _run(folders[0])
    with monkeypatch.context() as patch:
        _die_at(patch, "progress_write", 4)  # three policies, one chunk each, then the scores
        with pytest.raises(_Death):
            run_folder("sample", str(folders[1]))
    _run(folders[1])
    assert _outcome(folders[1]) == _outcome(folders[0])


def test_a_reward_model_without_heads_is_refused_before_sampling(tmp_path, chain, policies):
    inputs = policies | {"reward_model": chain.reward_model / "output"}
    config = {"num_completions": 2, "num_candidates": 4}
    for selection in ("disagreement", "thompson"):
        folder = _folder(tmp_path / selection, inputs, _records(3), **config, selection=selection)
        assert run_folder("sample", str(folder)) == EXIT_EXPECTED
        error = json.loads((folder / "error.json").read_text())
        assert error["code"] == "config_invalid"
        assert "overrides.reward_model.num_heads" in error["message"]
        assert not (folder / "metrics.jsonl").exists()
    # Mean scores need no ensemble: one head is a mean, too.
    samples = _run(_folder(tmp_path / "top", inputs, _records(3), **config, selection="top_two"))
    assert len(samples) == 6
