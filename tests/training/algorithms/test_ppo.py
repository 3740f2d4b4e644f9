"""PPO as a whole: its invariants, its penalty, and that it raises a reward."""

import json
from dataclasses import dataclass, replace

import pytest
import torch
from torch.testing import assert_close

from tests.tiny import chat, demonstration_records, prompt_records, run_folder_make, tiny_model
from tests.training.algorithms.conftest import folder_for, learner, metrics_read
from training.algorithms.configs import config_resolve
from training.algorithms.data.chat import prompt_encode
from training.algorithms.engine.learner import Frozen
from training.algorithms.entry import run_folder
from training.algorithms.models.checkpoint_io import policy_load, tokenizer_load
from training.algorithms.models.scalar_model import head_initialize
from training.algorithms.policy.completion_batches import batches_make
from training.algorithms.policy.rollouts import (
    Actors,
    penalized_scores,
    rollout_measure,
    step_prompts,
)
from training.algorithms.ppo import PPOConfig
from training.algorithms.ppo.pretraining import texts_accumulate, texts_pick
from training.algorithms.ppo.update import (
    minibatches_draw,
    policy_minibatch,
    targets_compute,
    value_minibatch,
    values_measure,
)
from training.algorithms.records import Completion, Demonstration
from training.algorithms.run_dir import Hardware
from training.algorithms.sampling.generation import generate


def test_the_first_step_has_no_kl_and_every_step_starts_at_ratio_one(chain):
    curves = metrics_read(chain.ppo)
    assert curves["policy/kl_to_reference"][0] == (0, pytest.approx(0.0, abs=1e-5))
    assert curves["policy/kl_to_reference_k3"][0] == (0, pytest.approx(0.0, abs=1e-5))
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
    visited = [p[0] for step in range(5) for p in step_prompts(prompts, 1, step, 4, "ppo")]
    assert sorted(visited[:10]) == sorted(visited[10:]) == list(range(10))
    assert visited[:10] != visited[10:]


@dataclass
class Cast:
    """Four tiny models, the two trained ones also as learners."""

    policy: object
    value: object
    reward: object
    actors: Actors
    value_learner: object


@pytest.fixture
def cast():
    from transformers import LlamaForSequenceClassification

    def scalar(seed):
        config = tiny_model().config
        config.num_labels = 1
        model = LlamaForSequenceClassification(config).eval()
        model.model.load_state_dict(tiny_model(seed).model.state_dict())
        head_initialize(model, torch.Generator().manual_seed(seed))
        return model

    policy, value, reward = tiny_model(1), scalar(2), scalar(4)
    actors = Actors(
        learner(policy),
        Frozen(tiny_model(3), Hardware()),
        Frozen(reward, Hardware()),
        eos_id=257,
        pad_id=256,
    )
    return Cast(policy, value, reward, actors, learner(value))


def _rollout(cast, config):
    prompts = [[65] * (1 + n // config.completions_per_prompt % 7) for n in range(20)]
    completions = generate(
        cast.policy,
        prompts,
        range(20),
        eos_id=257,
        pad_id=256,
        temperature=config.temperature,
        max_new_tokens=9,
        batch_rows=20,
    )
    return rollout_measure(cast.actors, prompts, completions, config)


def _config(**fields):
    return config_resolve(PPOConfig, fields)


def _targets(cast, rollout, config):
    values = values_measure(cast.value_learner, rollout, config, 256)
    return targets_compute(rollout, values, 0.1, config)


def test_missing_eos_is_penalized_as_configured(cast):
    rollout = replace(
        _rollout(cast, _config()),
        scores=torch.tensor([3.0, 3.0]),
        finished=torch.tensor([True, False]),
    )
    assert penalized_scores(rollout, _config(missing_eos_penalty=2.0)).tolist() == [3.0, 1.0]
    replaced = _config(missing_eos="replace", missing_eos_penalty=2.0)
    assert penalized_scores(rollout, replaced).tolist() == [3.0, -2.0]


@pytest.mark.parametrize("completions_per_prompt", [1, 4])
def test_micro_batches_change_neither_rollout_nor_gradient(cast, completions_per_prompt):
    """Nor does sharing the prompts, which four completions of a prompt do."""
    fields = {
        "temperature": 0.8, "batch_size": 20, "minibatch_size": 20,
        "completions_per_prompt": completions_per_prompt,
    }  # fmt: skip
    large, small = (_config(micro_batch_tokens=size, **fields) for size in (10_000, 20))
    rollout, again = _rollout(cast, large), _rollout(cast, small)
    alone = rollout_measure(
        cast.actors,
        rollout.prompts,
        _completions(rollout),
        replace(large, completions_per_prompt=1),
    )
    for name in ("logprobs", "reference_logprobs", "scores", "entropies"):
        for other in (again, alone):
            assert_close(getattr(rollout, name), getattr(other, name), atol=1e-5, rtol=1e-5)
    targets = _targets(cast, rollout, large)
    assert_close(_targets(cast, again, small).values, targets.values, atol=1e-5, rtol=1e-5)
    gradients = []
    for config in (large, small):
        for model in (cast.policy, cast.value):
            model.zero_grad()
        rows = list(range(20))
        policy_minibatch(cast.actors.policy, rollout, targets, rows, config, 256)
        value_minibatch(cast.value_learner, rollout, targets, rows, config, 256)
        gradients.append(
            [p.grad.clone() for m in (cast.policy, cast.value) for p in m.parameters()]
        )
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-3)


def _completions(rollout):
    return [
        Completion(ids, bool(done), 0)
        for ids, done in zip(rollout.completions, rollout.finished, strict=True)
    ]


def test_prompts_are_shared_only_where_several_completions_continue_them(cast):
    prompts, completions = [[65] * 30] * 8, [[66, 67, 257]] * 8
    call = cast.actors.policy.read
    (alone,) = batches_make(call, prompts, completions, range(8), 1, 256, 1000)
    (together,) = batches_make(call, prompts, completions, range(8), 4, 256, 1000)
    assert alone.sequences.input_ids.shape == (8, 33)
    assert together.sequences.input_ids.shape == (8, 3)
    assert together.sequences.shared.prompt_ids.shape == (2, 30)


def test_left_padded_sampling_agrees_with_right_padded_measuring(cast):
    """What the sampler believed about its tokens, batched with longer prompts, is what is learned.

    The sampler's probabilities at each step come from a plain forward pass of transformers on a
    left-padded batch, with an attention mask and positions.
    """
    rollout = _rollout(cast, _config())
    rows = [0, 3, 6]  # prompts of 1, 4 and 7 tokens
    width = 7
    texts = [[256] * (width - len(rollout.prompts[row])) + rollout.prompts[row] for row in rows]
    length = min(len(rollout.completions[row]) for row in rows)
    ids = torch.tensor(
        [text + rollout.completions[row][:length] for text, row in zip(texts, rows, strict=True)]
    )
    mask = (ids != 256).long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = cast.policy(input_ids=ids, attention_mask=mask, position_ids=positions).logits
    expected = torch.log_softmax(logits[:, width - 1 : -1], -1)
    expected = expected.gather(-1, ids[:, width:, None]).squeeze(-1)
    assert_close(rollout.logprobs[rows, :length], expected, atol=1e-5, rtol=1e-5)


def test_a_completion_cut_short_is_scored_with_eos(cast):
    rollout = _rollout(cast, _config())
    row = int((~rollout.finished).nonzero()[0])
    ids = torch.tensor([rollout.prompts[row] + rollout.completions[row] + [257]])
    with torch.no_grad():
        hidden = cast.reward.model(input_ids=ids).last_hidden_state[0, -1]
    assert_close(rollout.scores[row], cast.reward.score(hidden)[0].detach(), atol=1e-5, rtol=1e-5)
    assert len(rollout.completions[row]) == rollout.lengths[row] == 9


def test_whitened_advantages_average_zero_over_real_tokens(cast):
    rollout = _rollout(cast, _config())
    advantages = _targets(cast, rollout, _config()).advantages[rollout.mask]
    assert advantages.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert advantages.var(unbiased=False).item() == pytest.approx(1.0, abs=1e-3)


def test_minibatches_visit_every_completion_once_an_epoch_and_part_no_prompt():
    config = _config(batch_size=12, minibatch_size=4, completions_per_prompt=2, num_epochs=3)
    minibatches = minibatches_draw(12, 2, config, seed=1, step=0)
    assert [len(rows) for rows in minibatches] == [4] * 9
    epochs = [[row for rows in minibatches[n : n + 3] for row in rows] for n in (0, 3, 6)]
    assert all(sorted(rows) == list(range(12)) for rows in epochs)
    assert epochs[0] != epochs[1]
    assert all(rows[i] + 1 == rows[i + 1] for rows in minibatches for i in (0, 2))


# ---- PPO-ptx


def test_the_ptx_gradient_is_the_sum_of_both(cast):
    config = _config(ptx_coefficient=2.5, micro_batch_tokens=40)
    rollout = _rollout(cast, config)
    targets = _targets(cast, rollout, config)
    texts = [Demonstration([70 + n], [80] * (1 + n) + [257]) for n in range(6)]
    rows = list(range(20))
    policy_minibatch(cast.actors.policy, rollout, targets, rows, config, 256)
    ppo = {name: p.grad.clone() for name, p in cast.policy.named_parameters()}
    loss = texts_accumulate(cast.actors.policy, texts, config, 256)
    both = {name: p.grad.clone() for name, p in cast.policy.named_parameters()}
    cast.policy.zero_grad()
    # The mean over the predicted tokens of all texts, one plain forward pass per text
    terms = []
    for text in texts:
        ids = torch.tensor([text.prompt_ids + text.completion_ids])
        logprobs = torch.log_softmax(cast.policy(input_ids=ids).logits[0, :-1], -1)
        terms.append(-logprobs.gather(-1, ids[0, 1:, None]).squeeze(-1))
    expected = torch.cat(terms).mean()
    (2.5 * expected).backward()
    assert loss == pytest.approx(expected.item(), abs=1e-5)
    for name, parameter in cast.policy.named_parameters():
        assert_close(both[name], ppo[name] + parameter.grad, atol=1e-5, rtol=1e-3)


def test_both_gradients_land_in_one_optimizer_step(tmp_path, chain):
    """With a coefficient so large that Adam's direction is that of the texts alone."""
    texts = [{"text": "abc" * (1 + n % 3)} for n in range(6)]
    folder = folder_for("ppo", tmp_path / "run", chain, ptx_coefficient=1e6, ptx_batch_size=6)
    _lines_write(folder / "data" / "texts.jsonl", texts)
    assert run_folder("ppo", str(folder)) == 0
    losses = [value for _, value in metrics_read(folder)["ppo/ptx_loss"]]
    assert losses[-1] < 0.7 * losses[0]
    assert losses[0] == pytest.approx(5.0, abs=2.0)  # near ln 260 = 5.6 before training


def test_without_texts_the_demonstrations_stand_in(tmp_path, chain):
    fields = {"ptx_coefficient": 1.0, "ptx_batch_size": 4, "num_steps": 1}
    folder = folder_for("ppo", tmp_path / "run", chain, **fields)
    assert run_folder("ppo", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "data_too_small"
    assert "texts.jsonl" in error["message"]
    _lines_write(folder / "data" / "demonstrations.jsonl", demonstration_records(8, 2))
    assert run_folder("ppo", str(folder)) == 0
    assert metrics_read(folder)["ppo/ptx_loss"][0][1] > 0


def test_texts_are_visited_once_a_sweep():
    texts = [Demonstration([n], [n]) for n in range(6)]
    config = _config(ptx_batch_size=3)
    seen = [t.prompt_ids[0] for update in range(4) for t in texts_pick(texts, update, config, 1)]
    assert sorted(seen[:6]) == sorted(seen[6:]) == list(range(6))


def _lines_write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


# ---- runs


def test_too_much_kl_halts_the_run_without_output(tmp_path, chain):
    folder = folder_for("ppo", tmp_path / "run", chain, max_kl=1e-6, learning_rate=1e-2)
    assert run_folder("ppo", str(folder)) == 3
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "training_halted"
    assert error["extra"]["guard"] == "kl"
    assert "max_kl = 1e-06" in error["message"]
    assert not (folder / "output").exists()
    # the step that gave cause is on file
    last_step, kl = metrics_read(folder)["policy/kl_to_reference"][-1]
    assert kl == error["extra"]["kl_to_reference"] > 1e-6
    assert error["message"].startswith(f"Halted at step {last_step}.")
    # and a second start comes to the same end
    assert run_folder("ppo", str(folder)) == 3
    assert json.loads((folder / "error.json").read_text()) == error


def test_with_an_adapter_the_reference_is_the_policy_without_it(tmp_path, chain):
    folder = folder_for("ppo", tmp_path / "run", chain, lora_rank=4, num_steps=3)
    assert run_folder("ppo", str(folder)) == 0
    curves = metrics_read(folder)
    kl = [value for _, value in curves["policy/kl_to_reference_k3"]]
    assert kl[0] == pytest.approx(0.0, abs=1e-5)
    assert kl[-1] > 1e-4
    # the same rollout, scored by the value model without its adapter: before any update all agree
    whole = metrics_read(chain.ppo)
    for name in ("policy/score", "ppo/value_mean", "policy/entropy"):
        assert curves[name][0][1] == pytest.approx(whole[name][0][1], abs=1e-5), name
    output = policy_load(str(folder / "output"), tokenizer_load(str(folder / "output")))
    start = policy_load(str(chain.sft / "output"), tokenizer_load(str(chain.sft / "output")))
    ids = torch.tensor([[65, 66, 67]])
    assert (output(ids).logits - start(ids).logits).abs().max() > 1e-3


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
