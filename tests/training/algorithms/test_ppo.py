"""PPO as a whole: its invariants, its penalty, and that it raises a reward."""

import json

import pytest
import torch
from torch.testing import assert_close

from tests.tiny import chat, prompt_records, run_folder_make, tiny_model
from tests.training.algorithms.conftest import folder_for, metrics_read, result_read
from training.algorithms.chat import prompt_encode
from training.algorithms.checkpoint_io import policy_load, tokenizer_load
from training.algorithms.configs import config_resolve
from training.algorithms.entry import run_folder
from training.algorithms.generation import generate
from training.algorithms.ppo import PPOConfig
from training.algorithms.ppo.rollout import (
    Models,
    missing_eos_apply,
    rollout_measure,
    step_prompts,
)
from training.algorithms.ppo.update import UpdateTally, _minibatch_backward, targets_compute
from training.algorithms.scalar_model import head_initialize


def test_the_first_step_has_no_kl_and_every_step_starts_at_ratio_one(chain):
    curves = metrics_read(chain.ppo)
    assert curves["policy/kl_to_reference"][0] == (0, 0.0)
    assert curves["policy/kl_to_reference_k3"][-1][1] > 0
    assert [step for step, _ in curves["ppo/first_ratio"]] == [0, 1, 2, 3, 4]
    for _, ratio in curves["ppo/first_ratio"]:
        assert ratio == pytest.approx(1.0, abs=1e-5)


def test_the_learning_rate_falls_linearly_and_beta_follows_the_kl(chain):
    curves = metrics_read(chain.ppo)
    rates = [value for _, value in curves["ppo/learning_rate"]]
    assert rates == pytest.approx([1e-3 * (1 - step / 5) for step in range(5)])
    betas = [value for _, value in curves["ppo/beta"]]
    # KL 0 at step 0 is below the target: e = -0.2, 12 episodes, horizon 10,000
    assert betas[:2] == pytest.approx([0.15, 0.15 * (1 - 0.2 * 12 / 10_000)])


def test_prompts_are_visited_once_a_sweep():
    prompts = [[n] for n in range(10)]
    visited = [p[0] for step in range(5) for p in step_prompts(prompts, 1, step, 4)]
    assert sorted(visited[:10]) == sorted(visited[10:]) == list(range(10))
    assert visited[:10] != visited[10:]


def test_missing_eos_is_penalized_as_configured():
    scores, finished = torch.tensor([3.0, 3.0]), torch.tensor([True, False])
    subtract = config_resolve(PPOConfig, {"missing_eos_penalty": 2.0})
    assert missing_eos_apply(scores, finished, subtract).tolist() == [3.0, 1.0]
    replace = config_resolve(PPOConfig, {"missing_eos": "replace", "missing_eos_penalty": 2.0})
    assert missing_eos_apply(scores, finished, replace).tolist() == [3.0, -2.0]


@pytest.fixture
def models():
    from transformers import LlamaForSequenceClassification

    def scalar(seed):
        config = tiny_model().config
        config.num_labels = 1
        model = LlamaForSequenceClassification(config).eval()
        model.model.load_state_dict(tiny_model(seed).model.state_dict())
        head_initialize(model, torch.Generator().manual_seed(seed))
        return model

    return Models(tiny_model(1), scalar(2), tiny_model(3), scalar(4), eos_id=257, pad_id=256)


def _rollout(models, config):
    prompts = [[65] * (1 + n % 7) for n in range(20)]
    completions = generate(
        models.policy,
        prompts,
        range(20),
        eos_id=257,
        pad_id=256,
        temperature=config.temperature,
        max_new_tokens=9,
        batch_rows=20,
    )
    return rollout_measure(models, prompts, completions, config)


def test_micro_batches_change_neither_rollout_nor_gradient(models):
    large = config_resolve(PPOConfig, {"micro_batch_tokens": 10_000, "temperature": 0.8})
    small = config_resolve(PPOConfig, {"micro_batch_tokens": 20, "temperature": 0.8})
    rollout, again = _rollout(models, large), _rollout(models, small)
    for name in ("logprobs", "reference_logprobs", "values", "scores", "entropies"):
        assert_close(getattr(rollout, name), getattr(again, name), atol=1e-5, rtol=1e-5)
    targets = targets_compute(rollout, 0.1, large)
    gradients = []
    for config in (large, small):
        for model in (models.policy, models.value):
            model.zero_grad()
        _minibatch_backward(models, rollout, targets, range(20), config, UpdateTally())
        gradients.append(
            [p.grad.clone() for m in (models.policy, models.value) for p in m.parameters()]
        )
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_a_completion_cut_short_is_scored_with_eos(models):
    rollout = _rollout(models, config_resolve(PPOConfig, {}))
    row = int((~rollout.finished).nonzero()[0])
    ids = torch.tensor([rollout.prompts[row] + rollout.completions[row] + [257]])
    with torch.no_grad():
        hidden = models.reward.model(input_ids=ids).last_hidden_state[0, -1]
    assert_close(rollout.scores[row], models.reward.score(hidden)[0].detach(), atol=1e-5, rtol=1e-5)
    assert len(rollout.completions[row]) == rollout.lengths[row] == 9


def test_whitened_advantages_average_zero_over_real_tokens(models):
    config = config_resolve(PPOConfig, {})
    rollout = _rollout(models, config)
    advantages = targets_compute(rollout, 0.1, config).advantages[rollout.mask]
    assert advantages.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert advantages.var(unbiased=False).item() == pytest.approx(1.0, abs=1e-3)


def test_too_much_kl_stops_the_run_with_a_message(tmp_path, chain):
    folder = folder_for("ppo", tmp_path / "run", chain, max_kl=1e-6, learning_rate=1e-2)
    assert run_folder("ppo", str(folder)) == 0
    data = result_read(folder)["data"]
    assert "max_kl = 1e-06" in data["stopped_early"]
    assert data["stopped_at_step"] < 5
    assert (folder / "output" / "model.safetensors").exists()


def test_ppo_needs_prompts(tmp_path, chain):
    folder = folder_for("ppo", tmp_path / "run", chain, min_prompts=100)
    assert run_folder("ppo", str(folder)) == 3
    assert json.loads((folder / "error.json").read_text())["extra"]["have"] == 14


def test_ppo_raises_the_reward_it_is_given(tmp_path, chain):
    """People who like the letter a: the reward model learns it, the policy writes it."""
    rankings = [
        {
            "id": n,
            "prompt_id": n,
            "prompt": chat("go " + "on " * (n % 5)),
            "completions": ["qzj"[n % 3] * 3 + "xk" * (n % 2), "a" * (2 + n % 4)],
            "ranks": [2, 1],
            "split": "train",
        }
        for n in range(120)
    ]
    reward = run_folder_make(
        tmp_path / "rm",
        "reward_model",
        {"learning_rate": 3e-3, "batch_size": 8, "num_epochs": 2},
        {"init": chain.base},
        {"rankings": rankings},
    )
    assert run_folder("reward_model", str(reward)) == 0
    ppo = run_folder_make(
        tmp_path / "ppo",
        "ppo",
        {
            "num_steps": 30,
            "batch_size": 48,
            "minibatch_size": 24,
            "learning_rate": 3e-3,
            "value_learning_rate": 3e-3,
            "max_new_tokens": 8,
            "kl_coefficient": 0.02,
            "kl_target": None,
        },
        {"reference": chain.base, "reward_model": reward / "output"},
        {"prompts": prompt_records(20)},
    )
    assert run_folder("ppo", str(ppo)) == 0
    curves = metrics_read(ppo)
    scores = [value for _, value in curves["policy/score"]]
    assert sum(scores[-3:]) / 3 > sum(scores[:3]) / 3 + 1.0
    assert curves["policy/kl_to_reference"][-1][1] > 0.5
    assert _share_of_a(ppo / "output") > 3 * _share_of_a(chain.base)


def _share_of_a(checkpoint):
    """Share of the letter a among 8 tokens after each of 64 prompts."""
    tokenizer = tokenizer_load(str(checkpoint))
    completions = generate(
        policy_load(str(checkpoint), tokenizer),
        [prompt_encode(tokenizer, chat("go on"))] * 64,
        range(64),
        eos_id=tokenizer.eos_token_id,
        pad_id=tokenizer.pad_token_id,
        temperature=1.0,
        max_new_tokens=8,
        batch_rows=64,
    )
    tokens = [token for completion in completions for token in completion.token_ids]
    return tokens.count(tokenizer.convert_tokens_to_ids("a")) / len(tokens)
