"""Sampling: the right distribution, whatever the batch; seeds; EOS."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from tests.tiny import tiny_model
from training.algorithms.generation import generate, left_pad, sample_tokens
from training.algorithms.kv_cache import ROOM, cache_make

EOS, PAD = 257, 256


def _generate(model, prompts, seeds, **overrides):
    settings = {
        "eos_id": EOS,
        "pad_id": PAD,
        "temperature": 1.0,
        "max_new_tokens": 12,
        "batch_rows": 64,
    }
    return generate(model, prompts, seeds, **(settings | overrides))


def test_first_tokens_follow_the_tempered_softmax(model):
    prompt, temperature, num_draws = [65, 66, 67], 0.5, 4000
    drawn = _generate(
        model,
        [prompt] * num_draws,
        range(num_draws),
        temperature=temperature,
        max_new_tokens=1,
        batch_rows=num_draws,
    )
    counts = torch.bincount(tensor([c.token_ids[0] for c in drawn]), minlength=260).double()
    with torch.no_grad():
        logits = model(input_ids=tensor([prompt])).logits[0, -1]
    expected = num_draws * torch.softmax(logits.double() / temperature, -1)
    # Pearson's chi-square, rare tokens pooled; mean df, standard deviation sqrt(2 df)
    common = expected >= 5
    observed = torch.cat([counts[common], counts[~common].sum()[None]])
    expected = torch.cat([expected[common], expected[~common].sum()[None]])
    statistic = ((observed - expected) ** 2 / expected).sum().item()
    degrees = len(observed) - 1
    assert degrees > 100
    assert abs(statistic - degrees) < 4 * (2 * degrees) ** 0.5


def test_tokens_are_found_by_inverting_the_distribution_function():
    # probabilities 1/8, 0, 3/8, 1/2: cumulative 0.125, 0.125, 0.5, 1
    logits = tensor([0.125, 0.0, 0.375, 0.5]).log().expand(6, 4)
    uniforms = tensor([0.0, 0.1249, 0.1251, 0.4999, 0.5001, 0.999999], dtype=torch.float64)
    assert sample_tokens(logits, uniforms).tolist() == [0, 0, 2, 2, 3, 3]


def test_a_completion_does_not_depend_on_its_batch(model):
    prompts = [[65] * n for n in (1, 9, 3, 3, 14, 2, 7)]
    seeds = [100 + row for row in range(7)]
    together = _generate(model, prompts, seeds)
    in_pairs = _generate(model, prompts, seeds, batch_rows=2)
    alone = [_generate(model, [p], [s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert together == in_pairs == alone


def test_rows_that_finish_early_leave_and_change_nothing():
    model = tiny_model()
    with torch.no_grad():
        # EOS becomes likely, so that rows finish at different steps
        model.lm_head.weight[EOS] = 4 * model.lm_head.weight[:256].mean(0)
    prompts, seeds = [[65, 66 + row] for row in range(40)], list(range(40))
    together = _generate(model, prompts, seeds, max_new_tokens=60, temperature=2.0)
    alone = [
        _generate(model, [p], [s], max_new_tokens=60, temperature=2.0)[0]
        for p, s in zip(prompts[::4], seeds[::4], strict=True)
    ]
    assert together[::4] == alone
    assert len({len(completion.token_ids) for completion in together}) > 3


def test_completions_end_at_eos_or_are_marked_unfinished(model):
    completions = _generate(model, [[65]] * 300, list(range(300)), max_new_tokens=20)
    for completion in completions:
        assert completion.finished == (completion.token_ids[-1] == EOS)
        assert EOS not in completion.token_ids[:-1]
        assert completion.finished or len(completion.token_ids) == 20
    assert 0 < sum(completion.finished for completion in completions) < 300


def test_equal_seeds_give_equal_completions(model):
    first, second, other = _generate(model, [[65]] * 3, [5, 5, 6])
    assert first == second
    assert first.token_ids != other.token_ids


@pytest.mark.parametrize("width", [4, 9])
def test_left_padding_leaves_hidden_states_alone(model, width):
    prompt = [65, 66, 67]
    ids, mask = left_pad([prompt, [70] * width], PAD)
    positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask.long(), position_ids=positions).logits
        alone = model(input_ids=tensor([prompt])).logits
    assert_close(padded[0, -3:], alone[0], atol=1e-5, rtol=1e-5)


def test_tokens_of_a_large_vocabulary_invert_the_same_function():
    """Against a plain sum over the whole vocabulary; 700 tokens are three blocks, one not full."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(1, 700, generator=generator).expand(5000, -1)
    uniforms = torch.rand(5000, generator=generator, dtype=torch.float64)
    cumulative = torch.softmax(logits[0].double(), -1).cumsum(-1)
    # A draw within rounding of a boundary may fall on either side; here none does.
    assert (uniforms[:, None] - cumulative).abs().min() > 1e-7
    expected = [int((cumulative <= uniform).sum()) for uniform in uniforms]
    assert sample_tokens(logits, uniforms).tolist() == expected


def test_a_token_of_probability_zero_is_never_drawn():
    logits = torch.full((3, 600), -torch.inf)
    logits[:, 300] = 0.0
    uniforms = tensor([0.0, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert sample_tokens(logits, uniforms).tolist() == [300, 300, 300]


def test_a_prompt_asked_several_times_is_read_once_and_answered_the_same(model):
    prompts = [[65, 66], [70, 71, 72], [65, 66], [70, 71, 72], [65, 66], [80]]
    seeds = list(range(6))
    rows_read = []
    handle = model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: rows_read.append(kwargs["input_ids"].shape[0]),
        with_kwargs=True,
    )
    together = _generate(model, prompts, seeds)
    handle.remove()
    assert rows_read[:2] == [3, 6]  # three different prompts, then six completions
    alone = [_generate(model, [p], [s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert together == alone


def test_the_cache_grows_past_its_room_without_loss():
    """More tokens than ROOM: the same hidden states as one pass over the whole text."""
    model = tiny_model()
    ids = torch.randint(0, 256, (2, ROOM + 40), generator=torch.Generator().manual_seed(3))
    cache, rows = cache_make(model.config), tensor([1, 0, 1])
    with torch.no_grad():
        model.base_model(input_ids=ids[:, :5], past_key_values=cache, use_cache=True)
        cache.batch_select_indices(rows)
        for position in range(5, ids.shape[1]):
            step = ids[rows, position, None]
            last = model.base_model(input_ids=step, past_key_values=cache, use_cache=True)
        whole = model.base_model(input_ids=ids).last_hidden_state[rows, -1]
    assert cache.get_seq_length() == ROOM + 40
    assert_close(last.last_hidden_state[:, -1], whole, atol=1e-5, rtol=1e-5)
