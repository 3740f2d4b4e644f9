"""Scores and values: positions, padding, the head, the bias, and plain transformers."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification

from tests.tiny import tiny_checkpoint
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.measuring.scoring import scores
from training.algorithms.models.checkpoint_io import (
    checkpoint_save,
    reward_model_from_policy,
    reward_model_load,
)
from training.algorithms.models.scalar_model import head_initialize, sequence_scores, token_values

PROMPTS = [[65, 66, 67, 68], [70], [71, 72]]
COMPLETIONS = [[80, 257], [82, 83, 84, 85, 257], [257]]


@pytest.fixture
def base(tmp_path):
    return str(tiny_checkpoint(tmp_path / "base"))


@pytest.fixture
def reward_model(base, tokenizer):
    model = reward_model_from_policy(base, tokenizer)
    head_initialize(model, torch.Generator().manual_seed(1))
    model.config.reward_bias = 0.25
    return model


def test_the_head_starts_with_std_one_over_root_d_plus_one(base, tokenizer):
    model = reward_model_from_policy(base, tokenizer)
    draws = []
    for seed in range(100):
        head_initialize(model, torch.Generator().manual_seed(seed))
        draws.append(model.score.weight.detach().clone())
    # d = 32; 3200 draws give the std to about 1 / sqrt(6400) = 1.25 %
    assert torch.stack(draws).std().item() == pytest.approx(1 / math.sqrt(33), rel=0.05)


def test_the_backbone_is_the_policys(base, tokenizer, model):
    ours = reward_model_from_policy(base, tokenizer)
    for name, parameter in model.model.named_parameters():
        assert_close(dict(ours.model.named_parameters())[name], parameter, atol=0, rtol=0)


@torch.no_grad()
def test_batched_scores_equal_single_ones_and_read_the_last_real_token(reward_model):
    batched = sequence_scores(reward_model, sequences_collate(PROMPTS, COMPLETIONS, pad_id=256))
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        hidden = reward_model.model(input_ids=tensor([prompt + completion])).last_hidden_state
        expected = (hidden[0, -1] @ reward_model.score.weight[0]) - 0.25
        assert_close(batched[row], expected, atol=1e-5, rtol=1e-5)


def test_the_pad_id_never_matters_not_even_when_it_is_eos(reward_model):
    usual = scores(reward_model, PROMPTS, COMPLETIONS, pad_id=256)
    assert_close(scores(reward_model, PROMPTS, COMPLETIONS, pad_id=257), usual, atol=0, rtol=0)


@torch.no_grad()
def test_values_are_read_before_each_token(reward_model):
    values = token_values(reward_model, sequences_collate(PROMPTS, COMPLETIONS, pad_id=256))
    assert values.shape == (3, 5)
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        for t in range(len(completion)):
            seen = tensor([prompt + completion[:t]])  # token t itself is not in
            hidden = reward_model.model(input_ids=seen).last_hidden_state[0, -1]
            expected = hidden @ reward_model.score.weight[0] - 0.25
            assert_close(values[row, t], expected, atol=1e-5, rtol=1e-5)
        assert (values[row, len(completion) :] == 0).all()


@torch.no_grad()
def test_plain_transformers_gives_the_same_score_plus_bias(reward_model, tokenizer, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    checkpoint_save(reward_model, tokenizer, folder)
    ours = scores(reward_model_load(str(folder), tokenizer), PROMPTS, COMPLETIONS, pad_id=256)
    plain = AutoModelForSequenceClassification.from_pretrained(folder)
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    mask = (sequences.input_ids != 256).long()
    logits = plain(input_ids=sequences.input_ids, attention_mask=mask).logits.squeeze(-1)
    assert_close(ours, logits - 0.25, atol=1e-5, rtol=1e-5)


def test_a_policy_is_no_reward_model(base, tokenizer):
    with pytest.raises(CheckpointInvalid, match="reward_bias"):
        reward_model_load(base, tokenizer)
