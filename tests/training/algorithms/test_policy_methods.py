"""RLOO, GRPO, REINFORCE and rejection sampling: their formulas against naive loops, and runs."""

import json
import math
import statistics

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from tests.tiny import chat, prompt_records, run_folder_make
from tests.training.algorithms.conftest import folder_for, learner, metrics_read, result_read
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.entry import run_folder
from training.algorithms.errors import LossNotFinite
from training.algorithms.formulas.advantages import (
    gae,
    group_advantages,
    returns_to_go,
    rloo_advantages,
)
from training.algorithms.formulas.masking import whiten
from training.algorithms.formulas.policy_losses import (
    grpo_loss,
    ppo_policy_loss,
    reinforce_loss,
    sequence_policy_loss,
)
from training.algorithms.grpo import GRPOConfig
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.policy.policy_update import policy_learn
from training.algorithms.policy.rollouts import Actors, rollout_collect, sweep_rows
from training.algorithms.records import Rollout
from training.algorithms.reinforce import ReinforceConfig
from training.algorithms.reinforce.loop import baseline_next, baseline_value
from training.algorithms.rejection_sampling.loop import best_rows
from training.algorithms.rloo import RLOOConfig

LENGTHS = [3, 1, 5, 2, 4, 5]
MASK = torch.arange(5)[None, :] < tensor(LENGTHS)[:, None]


def _random(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- advantages


def test_rloo_advantages_equal_the_naive_loop():
    rewards = _random(1, 12)
    expected = []
    for start in range(0, 12, 4):
        group = rewards[start : start + 4].tolist()
        for own in range(4):
            others = [reward for k, reward in enumerate(group) if k != own]
            expected.append(group[own] - statistics.fmean(others))
    assert_close(rloo_advantages(rewards, 4), tensor(expected), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_group_advantages_equal_the_naive_loop(scale):
    scores = 3 * _random(2, 12)
    groups = [scores[start : start + 4].tolist() for start in range(0, 12, 4)]
    of_batch = math.sqrt(statistics.fmean(statistics.variance(group) for group in groups))
    expected = []
    for group in groups:
        deviation = {"group": statistics.stdev(group), "batch": of_batch}.get(scale)
        divisor = 1.0 if deviation is None else deviation + 1e-4
        expected += [(score - statistics.fmean(group)) / divisor for score in group]
    assert_close(group_advantages(scores, 4, scale), tensor(expected), atol=1e-5, rtol=1e-5)


def test_equal_scores_teach_nothing():
    scores = tensor([2.0, 2.0, 2.0, -1.0, -1.0, -1.0])
    for scale in ("group", "batch", "none"):
        assert group_advantages(scores, 3, scale).tolist() == [0.0] * 6
    assert rloo_advantages(scores, 3).tolist() == [0.0] * 6


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_returns_to_go_equal_the_naive_loop(gamma):
    rewards = _random(3, 6, 5)
    expected = torch.zeros(6, 5)
    for row, length in enumerate(LENGTHS):
        for t in range(length):
            later = [gamma ** (s - t) * rewards[row, s].item() for s in range(t, length)]
            expected[row, t] = sum(later)
    assert_close(returns_to_go(rewards, MASK, gamma), expected, atol=1e-5, rtol=1e-5)


def test_returns_to_go_are_gae_without_values():
    """lambda 1 and values 0: the advantage is the return that follows."""
    rewards = _random(4, 6, 5)
    advantages, _ = gae(rewards, torch.zeros(6, 5), MASK, gamma=0.9, lam=1.0)
    assert_close(returns_to_go(rewards, MASK, 0.9), advantages, atol=1e-5, rtol=1e-5)


def test_whitened_numbers_by_hand():
    # mean 2, deviations -1, 0, 1, biased variance 2/3
    expected = tensor([-1.0, 0.0, 1.0]) / math.sqrt(2 / 3)
    assert_close(whiten(tensor([1.0, 2.0, 3.0])), expected)


def test_the_running_baseline_by_hand():
    config = config_resolve(ReinforceConfig, {})
    assert baseline_value(None, 3.0, config) == 3.0  # no past: the step's own mean
    running = baseline_next(None, 3.0, 0.9)
    assert running == 3.0
    assert baseline_value(running, 5.0, config) == 3.0
    assert baseline_next(running, 5.0, 0.9) == pytest.approx(3.2)
    of_batch = config_resolve(ReinforceConfig, {"baseline": "batch"})
    assert baseline_value(running, 5.0, of_batch) == 5.0
    none = config_resolve(ReinforceConfig, {"baseline": "none"})
    assert baseline_value(running, 5.0, none) == 0.0


# ---- losses


@pytest.mark.parametrize("mean_over", ["completions", "tokens"])
def test_grpo_loss_and_gradient_equal_the_naive_loop(mean_over):
    logprobs = _random(5, 6, 5).double().requires_grad_()
    old, reference = _random(6, 6, 5).double(), _random(7, 6, 5).double()
    advantages = _random(8, 6).double()
    count = 6 if mean_over == "completions" else sum(LENGTHS)
    loss, num_clipped = grpo_loss(
        logprobs, old, reference, advantages, MASK, 0.2, 0.3, mean_over, count
    )
    loss.backward()
    total, clipped = 0.0, 0
    naive = logprobs.detach().clone().requires_grad_()
    for row, length in enumerate(LENGTHS):
        tokens = []
        for t in range(length):
            ratio = torch.exp(naive[row, t] - old[row, t])
            gain = min(ratio * advantages[row], ratio.clamp(0.8, 1.2) * advantages[row])
            clipped += int(gain < ratio * advantages[row])
            log_ratio = reference[row, t] - naive[row, t]
            tokens.append(-gain + 0.3 * (torch.exp(log_ratio) - log_ratio - 1))
        total = total + sum(tokens) / (length if mean_over == "completions" else 1)
    (total / count).backward()
    assert loss.item() == pytest.approx((total / count).item(), rel=1e-9)
    assert num_clipped == clipped > 0
    assert_close(logprobs.grad, naive.grad)


def test_the_sequence_loss_equals_the_naive_loop():
    logprobs = (0.3 * _random(9, 6, 5)).double().requires_grad_()
    old, advantages = (0.3 * _random(10, 6, 5)).double(), _random(11, 6).double()
    loss, num_clipped = sequence_policy_loss(logprobs, old, advantages, MASK, 0.2, 6)
    losses, clipped = [], 0
    for row, length in enumerate(LENGTHS):
        ratio = math.exp((logprobs - old)[row, :length].sum().item())
        bounded = min(max(ratio, 0.8), 1.2)
        losses.append(max(-advantages[row].item() * ratio, -advantages[row].item() * bounded))
        clipped += int(losses[-1] > -advantages[row].item() * ratio)
    assert loss.item() == pytest.approx(statistics.fmean(losses), rel=1e-9)
    assert num_clipped == clipped > 0


def _gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def test_before_an_update_rloo_has_the_gradient_of_reinforce(model):
    """-A grad log pi(y), the sum over tokens: what its paper argues for."""
    sequences = sequences_collate([[65]] * 3, [[70, 71, 257], [72], [73, 257]], pad_id=256)
    mask, advantages = sequences.completion_mask, tensor([1.0, -2.0, 0.5])
    logprobs = completion_logprobs(model, sequences, 1.0)
    loss, _ = sequence_policy_loss(logprobs, logprobs.detach(), advantages, mask, 0.2, 3)
    ours = _gradients(model, loss)
    plain = -(advantages * completion_logprobs(model, sequences, 1.0).sum(1)).mean()
    for name, gradient in _gradients(model, plain).items():
        assert_close(ours[name], gradient, atol=1e-6, rtol=1e-4)


def test_one_token_ppo_without_clip_has_the_gradient_of_reinforce(model):
    """One token, lambda 1: PPO's advantage is the score minus the value, REINFORCE's baseline."""
    sequences = sequences_collate([[65, 66], [68], [69]], [[71], [72], [73]], pad_id=256)
    mask = sequences.completion_mask
    scores, baselines = tensor([[1.0], [-0.5], [2.0]]), tensor([[0.4], [0.4], [0.4]])
    advantages, _ = gae(scores, baselines, mask, gamma=1.0, lam=1.0)
    logprobs = completion_logprobs(model, sequences, 1.0)
    loss, _ = ppo_policy_loss(logprobs, logprobs.detach(), advantages, mask, 1e9, num_tokens=3)
    of_ppo = _gradients(model, loss)
    returns = returns_to_go(scores, mask, 1.0)
    logprobs = completion_logprobs(model, sequences, 1.0)
    of_reinforce = _gradients(model, reinforce_loss(logprobs, returns - 0.4, mask, 3))
    for name, gradient in of_reinforce.items():
        assert_close(of_ppo[name], gradient, atol=1e-6, rtol=1e-4)


def test_reinforce_loss_by_hand():
    # (1 * -1 + 2 * -2) + (3 * -4) = -17, over two completions; the pad counts nowhere
    loss = reinforce_loss(
        tensor([[-1.0, -2.0], [-4.0, 9.0]]),
        tensor([[1.0, 2.0], [3.0, 9.0]]),
        tensor([[True, True], [True, False]]),
        2,
    )
    assert loss.item() == pytest.approx(8.5)


# ---- rollouts and updates


def _rollout(model, group_size):
    prompts = [[65 + n // group_size] * 12 for n in range(12)]
    completions = [[70 + n] * (1 + n % 4) for n in range(12)]
    lengths = tensor([len(ids) for ids in completions])
    with torch.no_grad():
        sequences = sequences_collate(prompts, completions, 256)
        logprobs = completion_logprobs(model, sequences, 1.0)
    return Rollout(
        prompts, completions, group_size, lengths, sequences.completion_mask, logprobs,
        logprobs - 0.1, logprobs.abs(), _random(12, 12), torch.ones(12, dtype=torch.bool),
    )  # fmt: skip


@pytest.mark.parametrize("group_size", [1, 4])
def test_neither_grouping_nor_shared_prompts_change_the_update(model, group_size):
    rollout, advantages = _rollout(model, group_size), _random(13, 12)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def token_loss(logprobs, batch):
        return grpo_loss(
            logprobs,
            batch.pick(rollout.logprobs),
            batch.pick(rollout.reference_logprobs),
            batch.pick(advantages),
            batch.mask,
            0.2,
            0.04,
            "completions",
            12,
        )

    def trained(micro_batch_tokens):
        model.load_state_dict(start)
        config = config_resolve(GRPOConfig, {"micro_batch_tokens": micro_batch_tokens})
        tally = policy_learn(learner(model), rollout, token_loss, config, 2, 1e-2, 256)
        assert tally.first_ratio == pytest.approx(1.0, abs=1e-5)
        return tally.metrics("grpo", tally.num_tokens), {
            name: tensor.clone() for name, tensor in model.state_dict().items()
        }

    metrics, weights = trained(10_000)
    metrics_apart, weights_apart = trained(1)
    assert metrics == pytest.approx(metrics_apart, rel=1e-3, abs=1e-5)
    assert metrics["grpo/approx_kl"] > 1e-4  # the second epoch starts from other weights
    for name, weight in weights.items():
        assert_close(weights_apart[name], weight, atol=1e-4, rtol=1e-3)


def test_a_score_that_is_no_number_ends_the_run(model):
    def reward(function, *args):
        if function.__name__ == "score":
            return (torch.full((len(args[0].completion_lengths),), math.nan),)
        return function(model, *args)

    policy = learner(model)
    actors = Actors(policy, policy.read, reward, eos_id=257, pad_id=256)
    config = config_resolve(RLOOConfig, {"max_new_tokens": 4, "batch_size": 4})
    with pytest.raises(LossNotFinite, match="scores 4 of 4 completions"):
        rollout_collect(actors, [[65]], config, seed=1, step=0)


def test_the_best_finished_completion_of_each_prompt_is_kept(model):
    rollout = _rollout(model, 4)
    rollout.scores[:] = tensor([1.0, 5, 3, 3, 0, 0, 0, 0, 2, 9, 1, 7])
    rollout.finished[:] = tensor([1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]).bool()
    # row 1 was cut off; of rows 2 and 3 the first; nobody of the second prompt; row 9
    assert best_rows(rollout) == [2, 9]


def test_sweeps_visit_every_row_in_changing_order():
    rows = [row for start in range(0, 20, 5) for row in sweep_rows(10, start, 5, 1, "name")]
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))
    assert rows[:10] != rows[10:]


@pytest.mark.parametrize(
    ("config", "field", "fields"),
    [
        (RLOOConfig, "completions_per_prompt", {"completions_per_prompt": 1}),
        (RLOOConfig, "batch_size", {"batch_size": 10, "completions_per_prompt": 4}),
        (GRPOConfig, "advantage_scale", {"advantage_scale": "global"}),
        (GRPOConfig, "kl_target", {"kl_target": 0.0}),
        (ReinforceConfig, "baseline_decay", {"baseline_decay": 1.1}),
    ],
)
def test_impossible_values_are_refused(config, field, fields):
    with pytest.raises(ConfigError) as caught:
        config_resolve(config, fields)
    assert caught.value.extra["field"] == field


# ---- runs


@pytest.mark.parametrize("method", ["rloo", "grpo", "reinforce"])
def test_every_step_starts_at_ratio_one_and_the_first_at_kl_zero(chain, method):
    curves = metrics_read(getattr(chain, method))
    assert curves["policy/kl_to_reference_k3"][0] == (0, pytest.approx(0.0, abs=1e-5))
    assert curves["policy/kl_to_reference_k3"][-1][1] > 1e-3
    assert [step for step, _ in curves[f"{method}/first_ratio"]] == [0, 1, 2]
    for _, ratio in curves[f"{method}/first_ratio"]:
        assert ratio == pytest.approx(1.0, abs=1e-5)


def test_rejection_sampling_keeps_better_completions_than_it_draws(chain):
    curves = metrics_read(chain.rejection_sampling)
    for (_, kept), (_, drawn) in zip(
        curves["rejection_sampling/kept_score"], curves["policy/score"], strict=True
    ):
        assert kept > drawn
    # log 6 - 5/6
    assert result_read(chain.rejection_sampling)["data"]["best_of_n_kl"] == pytest.approx(0.958426)


def test_nothing_to_keep_halts_the_run(tmp_path, chain):
    folder = folder_for("rejection_sampling", tmp_path / "run", chain, max_new_tokens=1)
    assert run_folder("rejection_sampling", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert (error["code"], error["extra"]["guard"]) == ("training_halted", "nothing_kept")


def test_a_score_beyond_its_limit_halts_every_method(tmp_path, chain):
    for method in ("rloo", "rejection_sampling"):
        folder = folder_for(method, tmp_path / method, chain, max_score=-1000.0)
        assert run_folder(method, str(folder)) == 3
        error = json.loads((folder / "error.json").read_text())
        assert (error["code"], error["extra"]["guard"]) == ("training_halted", "score")
        assert not (folder / "output").exists()


@pytest.fixture(scope="module")
def taste(tmp_path_factory, chain):
    """A reward model of people who like the letter a."""
    rankings = [
        {
            "id": n, "prompt_id": n, "prompt": chat("go " + "on " * (n % 5)),
            "completions": ["qzj"[n % 3] * 3 + "xk" * (n % 2), "a" * (2 + n % 4)],
            "ranks": [2, 1], "split": "train",
        }
        for n in range(60)
    ]  # fmt: skip
    folder = run_folder_make(
        tmp_path_factory.mktemp("taste") / "rm",
        "reward_model",
        {"learning_rate": 3e-3, "batch_size": 8, "num_epochs": 2},
        {"init": chain.base},
        {"rankings": rankings},
    )
    assert run_folder("reward_model", str(folder)) == 0
    return folder / "output"


@pytest.mark.parametrize("method", ["rloo", "grpo", "reinforce"])
def test_every_method_raises_the_reward_it_is_given(tmp_path, chain, taste, method):
    folder = run_folder_make(
        tmp_path / "run",
        method,
        {
            "num_steps": 25, "batch_size": 48, "learning_rate": 3e-3, "max_new_tokens": 6,
            "completions_per_prompt": 1 if method == "reinforce" else 4,
            "kl_coefficient": 0.01,
        },
        {"reference": chain.base, "reward_model": taste},
        {"prompts": prompt_records(20)},
    )  # fmt: skip
    assert run_folder(method, str(folder)) == 0
    scores = [value for _, value in metrics_read(folder)["policy/score"]]
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 1.0
