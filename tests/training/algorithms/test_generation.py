"""Sampling: the right distribution, whatever the batch; seeds; EOS."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny import tiny_model
from training.algorithms.sampling.generation import generate, left_pad, sample_tokens
from training.algorithms.sampling.kv_cache import ROOM, GrowingLayer, cache_make

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


def _terse(model):
    """The model with another head, which draws EOS one time in ten: rows finish at all steps."""
    hidden_size, vocab_size = model.config.hidden_size, model.config.vocab_size
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model.lm_head = torch.nn.Linear(hidden_size, vocab_size)
    with torch.no_grad():
        model.lm_head.bias.zero_()[EOS] = math.log(vocab_size / 9)
    return model.eval()


@pytest.fixture
def terse_model():
    return _terse(tiny_model())


@pytest.fixture
def inputs_seen(terse_model):
    """(shape of the ids, columns of the mask) of every call of the terse model."""
    seen = []

    def hook(module, args, kwargs):
        mask, ids = kwargs["attention_mask"], kwargs["input_ids"]
        seen.append((tuple(ids.shape), None if mask is None else mask.shape[1]))

    terse_model.base_model.register_forward_pre_hook(hook, with_kwargs=True)
    return seen


def _ragged(num_prompts, longest=9):
    """Prompts of 2 to longest tokens, all different."""
    return [[65 + row] * (2 + row % (longest - 1)) for row in range(num_prompts)]


def test_rows_that_finish_early_leave_and_change_nothing(terse_model):
    prompts, seeds = _ragged(40), list(range(40))
    together = _generate(terse_model, prompts, seeds, max_new_tokens=60)
    alone = [
        _generate(terse_model, [p], [s], max_new_tokens=60)[0]
        for p, s in zip(prompts[::4], seeds[::4], strict=True)
    ]
    assert together[::4] == alone
    assert len({len(completion.token_ids) for completion in together}) > 3


def test_prompts_that_wait_take_the_place_of_finished_rows(terse_model, inputs_seen):
    prompts, seeds = _ragged(40), list(range(40))
    all_at_once = _generate(terse_model, prompts, seeds, max_new_tokens=30)
    inputs_seen.clear()
    in_turn = _generate(terse_model, prompts, seeds, max_new_tokens=30, batch_rows=8)
    assert in_turn == all_at_once
    entered = [shape[0] for shape, _ in inputs_seen if shape[1] > 1]
    assert sum(entered) == 40
    assert entered[0] == 8
    assert len(entered) > 5  # five would be whole batches
    assert max(shape[0] for shape, _ in inputs_seen) == 8
    lengths = [len(completion.token_ids) for completion in all_at_once]
    in_batches = sum(max(lengths[start : start + 8]) for start in range(0, 40, 8))
    assert len(inputs_seen) - len(entered) < in_batches - 5


def test_the_cache_is_never_wider_than_one_prompt_and_completion(terse_model, inputs_seen):
    """Without the bound it would be 25 columns here: rows outlive the one that began first."""
    prompts = [[65 + row] * 9 for row in range(40)]
    _generate(terse_model, prompts, range(40), max_new_tokens=12, batch_rows=5)
    assert max(width for _, width in inputs_seen if width is not None) == 9 + 12 - 1


def test_finished_rows_stay_within_learned_positions():
    """The longest prompt and completion fill the context, which a row carried on must not leave."""
    config = AutoConfig.for_model("gpt2", vocab_size=260, n_embd=32, n_layer=1, n_head=2)
    config.n_positions = 20
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _terse(AutoModelForCausalLM.from_config(config))
    prompts, seeds = [[65 + row] * 9 for row in range(24)], list(range(24))
    together = _generate(model, prompts, seeds, max_new_tokens=11, batch_rows=5)
    alone = [
        _generate(model, [p], [s], max_new_tokens=11)[0]
        for p, s in zip(prompts[::3], seeds[::3], strict=True)
    ]
    assert together[::3] == alone


def test_no_row_joins_where_layers_see_only_a_window():
    sizes = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "head_dim": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 2}
    config = AutoConfig.for_model("gemma2", sliding_window=4, **sizes, **heads)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _terse(AutoModelForCausalLM.from_config(config))
    rows_read = []
    model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: rows_read.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    prompts, seeds = _ragged(9), list(range(9))
    together = _generate(model, prompts, seeds, batch_rows=3)
    assert [rows for rows, width in rows_read if width > 1] == [3, 3, 3]
    assert min(rows for rows, _ in rows_read) < 3
    alone = [_generate(model, [p], [s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert together == alone


def test_progress_counts_completions_up_to_all(terse_model):
    counts = []
    _generate(
        terse_model, _ragged(20), range(20), batch_rows=4, max_new_tokens=30,
        on_batch=counts.append,
    )  # fmt: skip
    assert counts == sorted(counts)
    assert len(counts) > 5
    assert counts[-1] == 20


@pytest.mark.parametrize("num_columns", [2, 5])
def test_newcomers_end_in_the_same_column(num_columns):
    """Rows 2 and 0 of four columns from the second on; the shorter side is padded with zeros."""
    layer, newcomers = GrowingLayer(), GrowingLayer()
    keys, new_keys = torch.randn(3, 1, 4, 2), torch.randn(1, 1, num_columns, 2)
    layer.update(keys, -keys)
    newcomers.update(new_keys, -new_keys)
    layer.renew(tensor([2, 0]), 1, newcomers)
    width = max(3, num_columns)
    expected = torch.zeros(3, 1, width + 1, 2)
    expected[0, :, width - 3 : width], expected[1, :, width - 3 : width] = (
        keys[2, :, 1:],
        keys[0, :, 1:],
    )
    expected[2, :, width - num_columns : width] = new_keys[0]
    expected[:, :, width] = 7
    after = layer.update(torch.full((3, 1, 1, 2), 7.0), torch.full((3, 1, 1, 2), -7.0))
    assert_close(after[0], expected, atol=0, rtol=0)
    assert_close(after[1], -expected, atol=0, rtol=0)


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
