"""The best of n: its estimates in closed form and against enumeration, its runs, its resume."""

import itertools
import json
import math

import pytest
import torch

from tests.tiny import chat, prompt_records, run_folder_make, tiny_checkpoint
from tests.training.algorithms.conftest import metrics_read, result_read
from tests.training.algorithms.test_encoder_decoder import t5_make
from training.algorithms.best_of_n import BestOfNConfig
from training.algorithms.best_of_n.loop import choose_chunk, selection_metrics
from training.algorithms.data.chat import completion_encode, prompt_encode
from training.algorithms.entry import EXIT_EXPECTED, run_folder
from training.algorithms.formulas import selection
from training.algorithms.models.checkpoint_io import (
    checkpoint_save,
    reward_model_from_policy,
    reward_model_load,
    tokenizer_load,
)
from training.algorithms.run_dir import RunDir
from training.algorithms.sampling.generator import ChatPrompt, TextCompletion


def test_the_kl_of_the_best_of_n():
    assert selection.best_of_n_kl(1) == 0
    assert selection.best_of_n_kl(2) == pytest.approx(0.693147 - 0.5, abs=1e-6)
    assert selection.best_of_n_kl(4) == pytest.approx(1.386294 - 0.75, abs=1e-6)
    with pytest.raises(ValueError, match="n = 0"):
        selection.best_of_n_kl(0)


def test_the_kl_is_that_of_the_best_of_many_equally_likely_samples():
    """Without ties the best of n of M equal outcomes has rank i with (i^n - (i-1)^n) / M^n."""
    num, n = 20000, 4
    shares = [(i / num) ** n - ((i - 1) / num) ** n for i in range(1, num + 1)]
    divergence = math.fsum(p * math.log(p * num) for p in shares)
    assert selection.best_of_n_kl(n) == pytest.approx(divergence, abs=1e-4)


@pytest.mark.parametrize("m", [1, 2, 3, 5, 6])
def test_the_expected_best_is_the_mean_over_all_subsets(m):
    scores = [0.3, -1.0, 2.5, 0.3, 7.0, -4.0]
    best = [max(subset) for subset in itertools.combinations(scores, m)]
    assert selection.expected_best_of(scores, m) == pytest.approx(math.fsum(best) / len(best))


def test_the_expected_best_needs_enough_scores():
    for m in (0, 3):
        with pytest.raises(ValueError, match="expected 1 to 2"):
            selection.expected_best_of([1.0, 2.0], m)


def test_of_equals_the_first_is_best():
    assert selection.best_index([1.0, 3.0, 3.0, 2.0]) == 1


def test_the_curve_names_powers_of_two_and_n():
    metrics = selection_metrics([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [6.0] * 6], 6)
    prefix = "best_of_n/expected_best_of_"
    curve = {name.removeprefix(prefix) for name in metrics if name.startswith(prefix)}
    assert curve == {"1", "2", "4"}
    assert metrics["best_of_n/score_mean"] == pytest.approx((2.5 + 6) / 2)
    assert metrics["best_of_n/score_best"] == pytest.approx((5 + 6) / 2)
    # best of 2 of 0..5: mean of the maximum = 2/3 * 7 - 1 = 11/3
    assert metrics[prefix + "2"] == pytest.approx((11 / 3 + 6) / 2)
    assert metrics["best_of_n/kl_to_policy"] == pytest.approx(math.log(6) - 5 / 6)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A random policy and a random reward model on the same backbone."""
    root = tmp_path_factory.mktemp("checkpoints")
    policy = tiny_checkpoint(root / "policy")
    tokenizer = tokenizer_load(str(policy))
    reward = reward_model_from_policy(str(policy), tokenizer)
    with torch.no_grad():
        weight = reward.score.weight
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)))
    (root / "reward_model").mkdir()
    checkpoint_save(reward, tokenizer, root / "reward_model")
    return {"policy": policy, "reward_model": root / "reward_model"}


def _folder(folder, checkpoints, **config):
    config = {"num_samples": 4, "max_new_tokens": 10, "batch_rows": 3} | config
    return run_folder_make(
        folder, "best_of_n", config, checkpoints, {"prompts": prompt_records(8, num_held_out=3)}
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, checkpoints):
    folder = _folder(tmp_path_factory.mktemp("best_of_n") / "run", checkpoints)
    assert run_folder("best_of_n", str(folder)) == 0
    return folder


def _samples(folder):
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def test_a_run_keeps_one_scored_sample_per_prompt(finished):
    samples = _samples(finished)
    assert [sample["index"] for sample in samples] == list(range(8))
    metrics = result_read(finished)["metrics"]
    mean_best = sum(sample["score"] for sample in samples) / 8
    assert metrics["best_of_n/score_best"] == pytest.approx(mean_best, rel=1e-6)
    assert metrics["best_of_n/score_best"] > metrics["best_of_n/score_mean"]
    assert metrics["best_of_n/expected_best_of_4"] == metrics["best_of_n/score_best"]
    assert metrics_read(finished)["data/prompts_too_long"] == [(0, 0.0)]


class _Fixed:
    """A generator that gives texts in turn, as a server does."""

    def __init__(self, texts):
        self.texts = texts

    def generate(self, prompts, seeds, *, temperature, max_new_tokens, on_batch=None):
        rows = zip(self.texts, seeds, strict=True)
        return [TextCompletion(text, None, None, len(text) < 4, seed) for text, seed in rows]


def test_the_best_by_the_reward_model_is_chosen(checkpoints):
    location = str(checkpoints["reward_model"])
    tokenizer = tokenizer_load(location)
    reward = reward_model_load(location, tokenizer)
    prompts = [ChatPrompt(9, prompt_encode(tokenizer, chat("x")), chat("x"))]
    texts = ["a", "zzzz", "", "hey"]
    config = BestOfNConfig(num_samples=4)
    (chosen,) = choose_chunk(_Fixed(texts), reward, tokenizer, prompts, [0], config, 1)
    # An independent pass over each text with EOS, also after the one that was cut off.
    expected = []
    for text in texts:
        ids = prompts[0].token_ids + completion_encode(tokenizer, text)
        with torch.no_grad():
            expected.append(float(reward(input_ids=torch.tensor([ids])).logits[0, 0]))
    assert chosen["scores"] == pytest.approx(expected, abs=1e-5)
    assert len(set(expected)) == 4
    best = expected.index(max(expected))
    (sample,) = chosen["samples"]
    assert sample["text"] == texts[best]
    assert sample["score"] == chosen["scores"][best]
    # One token a byte; EOS is counted where the model ended the text.
    assert sample["num_tokens"] == {"a": 2, "zzzz": 4, "": 1, "hey": 4}[texts[best]]


class _ByTurns(_Fixed):
    """Gives other texts at each call, and remembers the seeds."""

    def __init__(self, *texts):
        super().__init__(None)
        self.turns, self.seeds = list(texts), []

    def generate(self, prompts, seeds, **options):
        self.texts = self.turns.pop(0)
        self.seeds.append(list(seeds))
        return super().generate(prompts, seeds, **options)


def test_several_bests_of_a_prompt_differ(checkpoints):
    """Three groups of two. The second repeats the first, then the third the new second."""
    location = str(checkpoints["reward_model"])
    tokenizer = tokenizer_load(location)
    reward = reward_model_load(location, tokenizer)
    prompts = [ChatPrompt(9, prompt_encode(tokenizer, chat("x")), chat("x"))]
    generator = _ByTurns(["a", "a", "a", "a", "b", "b"], ["b", "b"], ["cc", "cc"])
    config = BestOfNConfig(num_samples=2, completions_per_prompt=3)
    (chosen,) = choose_chunk(generator, reward, tokenizer, prompts, [0], config, 1)
    assert [sample["text"] for sample in chosen["samples"]] == ["a", "b", "cc"]
    assert [sample["index"] for sample in chosen["samples"]] == [0, 1, 2]
    # The estimates read the six first draws; no draw shares a seed with another.
    a, b = chosen["samples"][0]["score"], chosen["samples"][1]["score"]
    assert chosen["scores"] == pytest.approx([a] * 4 + [b] * 2)
    seeds = [seed for batch in generator.seeds for seed in batch]
    assert len(set(seeds)) == len(seeds) == 10


def test_resampling_gives_up(checkpoints):
    location = str(checkpoints["reward_model"])
    tokenizer = tokenizer_load(location)
    reward = reward_model_load(location, tokenizer)
    prompts = [ChatPrompt(9, prompt_encode(tokenizer, chat("x")), chat("x"))]
    generator = _ByTurns(["a", "a"], ["a"], ["a"])
    config = BestOfNConfig(num_samples=1, completions_per_prompt=2, max_resamples=2)
    (chosen,) = choose_chunk(generator, reward, tokenizer, prompts, [0], config, 1)
    assert [sample["text"] for sample in chosen["samples"]] == ["a", "a"]


def test_a_run_keeps_several_for_people_to_rank(tmp_path, checkpoints, finished):
    folder = _folder(tmp_path / "run", checkpoints, completions_per_prompt=3)
    assert run_folder("best_of_n", str(folder)) == 0
    samples = _samples(folder)
    assert [sample["index"] for sample in samples] == list(range(24))
    assert [sample["prompt_id"] for sample in samples] == [place // 3 for place in range(24)]
    assert len({(sample["prompt_id"], sample["text"]) for sample in samples}) == 24
    # The first group draws what a run that keeps one draws.
    for ours, alone in zip(samples[::3], _samples(finished), strict=True):
        assert (ours["text"], ours["seed"]) == (alone["text"], alone["seed"])
    # The curve ends at n = 4, not at 12.
    assert result_read(folder)["metrics"].keys() == result_read(finished)["metrics"].keys()


def test_more_samples_extend_the_fewer(tmp_path, checkpoints, finished):
    """Seeds name the slot: n = 8 draws the four of n = 4 and four more, so no best gets worse."""
    folder = _folder(tmp_path / "run", checkpoints, num_samples=8)
    assert run_folder("best_of_n", str(folder)) == 0
    for more, fewer in zip(_samples(folder), _samples(finished), strict=True):
        assert more["score"] >= fewer["score"] - 1e-5


def test_a_split_can_be_chosen(tmp_path, checkpoints):
    folder = _folder(tmp_path / "run", checkpoints, split="held_out")
    assert run_folder("best_of_n", str(folder)) == 0
    assert [sample["prompt_id"] for sample in _samples(folder)] == [5, 6, 7]


class _Death(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize(
    ("where", "number"), [("progress_write", 1), ("state_save", 2), ("result_write", 1)]
)
def test_death_anywhere_changes_nothing(
    tmp_path, checkpoints, finished, monkeypatch, where, number
):
    folder = _folder(tmp_path / "run", checkpoints)
    original, calls = getattr(RunDir, where), []

    def dying(self, *args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise _Death
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(RunDir, where, dying)
        with pytest.raises(_Death):
            run_folder("best_of_n", str(folder))
    assert not (folder / "result.json").exists()
    assert run_folder("best_of_n", str(folder)) == 0
    for name in ("metrics.jsonl", "result.json", "samples.jsonl"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes()


def test_encoder_decoder_policies_are_refused(tmp_path, checkpoints):
    t5_make(tmp_path / "t5")
    folder = _folder(tmp_path / "run", checkpoints | {"policy": tmp_path / "t5"})
    assert run_folder("best_of_n", str(folder)) == EXIT_EXPECTED
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "checkpoint_invalid"
    assert "decoder-only" in error["message"]
