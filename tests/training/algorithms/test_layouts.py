"""Shared prompts and packed rows against one forward pass per sequence: values and gradients."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.training.algorithms.test_families import FAMILIES, SIZES
from training.algorithms.kernel.collate import (
    packed_collate,
    rows_packed,
    sequences_collate,
    shared_collate,
)
from training.algorithms.kernel.logprobs import completion_hidden, completion_logprobs, last_hidden
from training.algorithms.kernel.prompt_sharing import (
    can_pack_rows,
    can_share_prompts,
    groups_collate,
    prompt_groups,
    shares_pay,
)
from training.algorithms.models.scalar_model import sequence_scores, token_values

PROMPTS = [[65, 66, 67, 68, 69], [70], [71, 72, 73]]
COMPLETIONS = [
    [[80, 81, 257], [82, 257], [83, 84, 85, 86, 257]],
    [[87, 257], [88, 89, 90, 257]],
    [[257]],
]
FLAT_PROMPTS = [PROMPTS[0]] * 3 + [PROMPTS[1]] * 2 + [PROMPTS[2]]
FLAT_COMPLETIONS = [completion for group in COMPLETIONS for completion in group]
LENGTHS = [len(p) + len(c) for p, c in zip(FLAT_PROMPTS, FLAT_COMPLETIONS, strict=True)]


def _model(family="llama", auto_class=AutoModelForCausalLM, **kwargs):
    sizes = SIZES | FAMILIES.get(family, {}) | {"initializer_range": 0.1} | kwargs
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return auto_class.from_config(AutoConfig.for_model(family, **sizes)).eval()


def _layouts():
    return {
        "shared": shared_collate(PROMPTS, COMPLETIONS, pad_id=256),
        "packed": packed_collate(
            FLAT_PROMPTS, FLAT_COMPLETIONS, rows_packed(LENGTHS, 17), pad_id=256
        ),
        "separate": sequences_collate(FLAT_PROMPTS, FLAT_COMPLETIONS, pad_id=256),
    }


def _alone(model):
    """Hidden rows of one forward pass per sequence: [(predicting rows, last row), ...]."""
    for prompt, completion in zip(FLAT_PROMPTS, FLAT_COMPLETIONS, strict=True):
        hidden = model.base_model(input_ids=tensor([prompt + completion])).last_hidden_state[0]
        yield hidden[len(prompt) - 1 : -1], hidden[-1]


def _gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("layout", ["shared", "packed", "separate"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "qwen3", "gpt_neox"])
def test_hidden_rows_and_gradients_are_those_of_single_forward_passes(family, layout):
    model = _model(family)
    sequences = _layouts()[layout]
    ours = completion_hidden(model, sequences), last_hidden(model, sequences)
    predicting, last = zip(*_alone(model), strict=True)
    expected = torch.cat(predicting), torch.stack(last)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(part.shape, generator=generator) / 10 for part in expected]
    assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    got = _gradients(model, sum((o * w).sum() for o, w in zip(ours, weights, strict=True)))
    wanted = _gradients(model, sum((e * w).sum() for e, w in zip(expected, weights, strict=True)))
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        scale = float(gradient.abs().max().clamp(min=1.0))
        assert_close(got[name], gradient, atol=1e-5 * scale, rtol=1e-5)


@pytest.mark.parametrize("layout", ["shared", "packed"])
def test_logprobs_scores_and_values_do_not_depend_on_the_layout(layout):
    policy, scorer = _model(), _model("llama", AutoModelForSequenceClassification, num_labels=1)
    with torch.no_grad():
        for compute in (
            lambda sequences: completion_logprobs(policy, sequences, 0.7),
            lambda sequences: sequence_scores(scorer, sequences),
            lambda sequences: token_values(scorer, sequences),
        ):
            ours, separate = (compute(_layouts()[name]) for name in (layout, "separate"))
            assert_close(ours, separate, atol=1e-5, rtol=1e-5)


def test_shared_prompts_work_under_autocast():
    model = _model()
    sequences = _layouts()
    with torch.autocast("cpu", torch.bfloat16):
        ours = completion_logprobs(model, sequences["shared"], 1.0)
        separate = completion_logprobs(model, sequences["separate"], 1.0)
    got, wanted = _gradients(model, ours.sum()), _gradients(model, separate.sum())
    # bf16 keeps 8 bits of logits of size 3
    assert_close(ours, separate, atol=0.05, rtol=0)
    for name, gradient in wanted.items():
        assert (got[name] - gradient).norm() <= 0.05 * gradient.norm(), name


def test_batch_size_and_padding_side_do_not_change_scores():
    model = _model("llama", AutoModelForSequenceClassification, num_labels=1)
    rows = [p + c for p, c in zip(FLAT_PROMPTS, FLAT_COMPLETIONS, strict=True)]
    width = max(map(len, rows)) + 3
    left = tensor([[256] * (width - len(row)) + row for row in rows])
    mask = tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        together = sequence_scores(model, _layouts()["separate"])
        one = [
            sequences_collate([p], [c], 256)
            for p, c in zip(FLAT_PROMPTS, FLAT_COMPLETIONS, strict=True)
        ]
        alone = torch.cat([sequence_scores(model, sequences) for sequences in one])
        hidden = model.base_model(input_ids=left, attention_mask=mask, position_ids=positions)
        left_padded = model.score(hidden.last_hidden_state[:, -1]).squeeze(-1)
    assert_close(together, alone, atol=1e-5, rtol=0)
    assert_close(together, left_padded, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2", "qwen3", "gpt_neox"])
def test_families_that_attend_to_everything_share_and_pack(family):
    model = _model(family)
    assert can_share_prompts(model)
    assert can_pack_rows(model)


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("gemma2", {"sliding_window": 4096}),
        ("mistral", {"sliding_window": 4096}),
        ("mamba", {"state_size": 4, "num_hidden_layers": 1}),
    ],
)
def test_windows_and_recurrence_do_not_share_prompts(family, sizes):
    model = _model(family, **sizes)
    assert not can_share_prompts(model)
    long = [[1] * 20], [[[2] * 5] * 4]
    assert groups_collate(model, *long, pad_id=0).shared is None


def test_recurrent_models_do_not_pack():
    assert not can_pack_rows(_model("mamba", state_size=4, num_hidden_layers=1))


def test_gradient_checkpointing_does_not_share_prompts():
    model = _model()
    model.activation_checkpointing_enable()
    assert not can_share_prompts(model)


def test_a_mask_the_attention_cannot_read_is_noticed():
    # eager attention adds the mask to its scores: True would be +1 instead of "may look"
    model = _model()
    model.set_attn_implementation("eager")
    assert not can_share_prompts(model)


def test_sharing_is_chosen_by_the_padded_tokens_it_saves():
    # 4 * (20 + 5) = 100 separate, 20 + 4 * 5 = 40 shared
    assert shares_pay([20], [[5, 5, 5, 5]])
    # 2 * (1 + 9) = 20 separate, 1 + 2 * 9 = 19 shared
    assert not shares_pay([1], [[9, 9]])
    model = _model()
    assert groups_collate(model, [[1] * 20], [[[2] * 5] * 4], pad_id=0).shared is not None
    assert groups_collate(model, [[1]], [[[2] * 9] * 2], pad_id=0).shared is None


@pytest.mark.parametrize("is_shared", [True, False])
def test_batches_keep_prompts_whole_within_the_budget(is_shared):
    model = _model()
    model.config.sliding_window = None if is_shared else 8
    prompt_lengths = [3, 50, 8, 7, 20, 4, 90]
    completion_lengths = [[5, 6], [9] * 4, [2, 30], [7] * 3, [8] * 9, [1, 2], [40, 50]]
    batches = prompt_groups(prompt_lengths, completion_lengths, 150, is_shared)
    assert sorted(group for batch in batches for group in batch) == list(range(7))
    assert [6] in batches  # 90 + 2 * 50 = 190 tokens: over the budget, alone
    for batch in batches:
        prompts = [[1] * prompt_lengths[g] for g in batch]
        completions = [[[2] * length for length in completion_lengths[g]] for g in batch]
        sequences = groups_collate(model, prompts, completions, pad_id=0)
        tokens = sequences.input_ids.numel()
        if sequences.shared is not None:
            tokens += sequences.shared.prompt_ids.numel()
        assert tokens <= 150 or len(batch) == 1


def test_packing_is_best_fit_longest_first():
    # 7 | 6 | 4 joins 6 (fullest with room) | 3 joins 7 | 2 opens a row, 1 joins it
    assert rows_packed([3, 7, 2, 6, 4, 1], row_tokens=10) == [[1, 0], [3, 4], [2, 5]]
    assert rows_packed([12, 3], row_tokens=10) == [[0], [1]]


def test_packed_rows_hold_each_sequence_once():
    sequences = _layouts()["packed"]
    assert sequences.input_ids.shape[0] < len(LENGTHS)
    assert int((sequences.input_ids != 256).sum()) == sum(LENGTHS)
    flat = sequences.input_ids.flatten().tolist()
    for start, prompt, completion in zip(
        sequences.starts.tolist(), FLAT_PROMPTS, FLAT_COMPLETIONS, strict=True
    ):
        assert flat[start : start + len(prompt + completion)] == prompt + completion
