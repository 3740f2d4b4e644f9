"""The same functions on other architectures: positions, caches and heads differ between them."""

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from tests.tiny import tiny_model, tiny_tokenizer
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.kernel.collate import sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs
from training.algorithms.models.checkpoint_io import policy_load, reward_model_from_policy
from training.algorithms.models.scalar_model import sequence_scores
from training.algorithms.sampling.generation import generate

SIZES = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": 257,
    "pad_token_id": 256,
}
FAMILIES = {
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "sliding_window": 8, "final_logit_softcapping": 2.0},
    "gpt_neox": {},
}


@pytest.fixture(params=FAMILIES)
def location(request, tmp_path):
    config = AutoConfig.for_model(request.param, **(SIZES | FAMILIES[request.param]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    return str(tmp_path)


def test_log_probabilities_equal_the_models_own(location):
    model = policy_load(location, tiny_tokenizer())
    prompts, completions = [[65] * 3, [66] * 9], [[70, 71], [72] * 12]
    sequences = sequences_collate(prompts, completions, pad_id=256)
    with torch.no_grad():
        ours = completion_logprobs(model, sequences, 0.8)
        for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
            logits = model(input_ids=tensor([prompt + completion])).logits[0].float() / 0.8
            expected = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
            expected = expected.gather(1, tensor(completion)[:, None]).squeeze(1)
            assert_close(ours[row, : len(completion)], expected, atol=1e-5, rtol=1e-5)


def test_batched_sampling_equals_single_sampling(location):
    model = policy_load(location, tiny_tokenizer())
    prompts, seeds = [[65], [66] * 9, [67] * 4], [1, 2, 3]

    def sample(some_prompts, some_seeds):
        return generate(
            model,
            some_prompts,
            some_seeds,
            eos_id=257,
            pad_id=256,
            temperature=1.0,
            max_new_tokens=20,
            batch_rows=8,
        )

    alone = [sample([p], [s])[0] for p, s in zip(prompts, seeds, strict=True)]
    assert sample(prompts, seeds) == alone


def test_reward_models_read_the_last_real_token(location):
    model = reward_model_from_policy(location, tiny_tokenizer())
    sequences = sequences_collate([[65], [66] * 5], [[70, 257], [71, 72, 257]], pad_id=256)
    with torch.no_grad():
        scores = sequence_scores(model, sequences)
        alone = model(input_ids=tensor([[65, 70, 257]])).logits[0, 0]
    assert_close(scores[0], alone, atol=1e-5, rtol=1e-5)


def test_an_unknown_head_is_refused_not_miscomputed(tmp_path, monkeypatch):
    tiny_model().save_pretrained(tmp_path)
    monkeypatch.setattr(
        "training.algorithms.models.checkpoint_trials.head_logits",
        lambda model, hidden: 2 * model.get_output_embeddings()(hidden),
    )
    with pytest.raises(CheckpointInvalid, match="changes its logits"):
        policy_load(str(tmp_path), tiny_tokenizer())
