"""T5 and mT5: log-probabilities and scores equal those of transformers' own classes."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from tests.tiny import (
    chat,
    demonstration_records,
    prompt_records,
    ranking_records,
    run_folder_make,
    tiny_tokenizer,
)
from tests.training.algorithms.conftest import metrics_read, result_read
from training.algorithms.data.chat import prompt_encode
from training.algorithms.engine.adapters import adapter_add
from training.algorithms.entry import EXIT_EXPECTED, run_folder
from training.algorithms.errors import CheckpointInvalid
from training.algorithms.kernel.collate import packed_collate, sequences_collate
from training.algorithms.kernel.logprobs import completion_logprobs, head_logits
from training.algorithms.models.checkpoint_io import (
    checkpoint_save,
    policy_load,
    reward_model_from_policy,
    reward_model_load,
    tokenizer_load,
)
from training.algorithms.models.encoder_decoder import completion_hidden, require_decoder_only
from training.algorithms.models.scalar_model import head_initialize, reward_bias, sequence_scores

SIZES = {
    "vocab_size": 260,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 2,
    "pad_token_id": 256,
    "eos_token_id": 257,
    "decoder_start_token_id": 256,
    "dropout_rate": 0.5,  # must be off after loading
}
FAMILIES = {
    "t5": ("t5", {}),
    "t5-v1.1": ("t5", {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu"}),
    "mt5": ("mt5", {}),
}
PROMPTS, COMPLETIONS = [[65] * 3, [66] * 9], [[70, 71, 257], [72] * 12 + [257]]


def t5_make(folder, family="t5"):
    """A tiny random model without a chat template, as T5 tokenizers come."""
    model_type, options = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSeq2SeqLM.from_config(
            AutoConfig.for_model(model_type, **SIZES, **options)
        )
        if options:  # v1.1 and Flan have an output layer of their own
            model.lm_head.weight = torch.nn.Parameter(torch.randn(260, 32))
    model.save_pretrained(folder)
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(params=FAMILIES)
def location(request, tmp_path):
    return t5_make(tmp_path / "t5", request.param)


def test_logits_equal_the_models_own(location):
    model = policy_load(location, tokenizer_load(location))
    plain = AutoModelForSeq2SeqLM.from_pretrained(location).eval()
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    with torch.no_grad():
        ours = head_logits(model, completion_hidden(model, sequences))
        theirs = [
            plain(input_ids=tensor([prompt]), labels=tensor([completion])).logits[0]
            for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True)
        ]
    assert_close(ours, torch.cat(theirs), atol=1e-4, rtol=1e-5)
    assert float(ours.std()) > 0.1


def test_log_probabilities_of_a_batch_equal_the_loss_of_single_texts(location):
    model = policy_load(location, tokenizer_load(location))
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    logprobs = completion_logprobs(model, sequences, 1.0)
    for row, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        # transformers' loss is the mean cross-entropy over the labels
        loss = model(input_ids=tensor([prompt]), labels=tensor([completion])).loss
        assert_close(-logprobs[row].sum(), loss * len(completion), atol=1e-4, rtol=1e-5)


def test_scores_equal_the_plain_sequence_classifiers(location, tmp_path):
    tokenizer = tokenizer_load(location)
    model = reward_model_from_policy(location, tokenizer)
    head_initialize(model, torch.Generator().manual_seed(3))
    model.config.reward_bias = 0.25
    folder = tmp_path / "reward"
    folder.mkdir()
    checkpoint_save(model, tokenizer, folder)
    plain = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    texts = [tensor([p + c]) for p, c in zip(PROMPTS, COMPLETIONS, strict=True)]
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    with torch.no_grad():
        theirs = torch.cat([plain(input_ids=text).logits[0] for text in texts])
        ours = sequence_scores(model, sequences)
        again = sequence_scores(reward_model_load(str(folder), tokenizer), sequences)
    assert_close(ours + 0.25, theirs, atol=1e-5, rtol=1e-5)
    assert_close(again, ours, atol=1e-6, rtol=1e-6)
    assert abs(float(ours[0] - ours[1])) > 1e-3


def test_a_merged_adapter_computes_the_same_before_and_after_saving(location, tmp_path):
    tokenizer = tokenizer_load(location)
    adapter = adapter_add(policy_load(location, tokenizer), rank=2, alpha=4, seed=1)
    sequences = sequences_collate(PROMPTS, COMPLETIONS, pad_id=256)
    folder = tmp_path / "merged"
    folder.mkdir()
    with torch.no_grad():
        before = completion_logprobs(adapter.model, sequences, 1.0)
        for name, parameter in adapter.model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)  # zero at first, as LoRA starts
        adapted = completion_logprobs(adapter.model, sequences, 1.0)
        merged, _ = adapter.merge()
        checkpoint_save(merged, tokenizer, folder)
        assert_close(completion_logprobs(merged, sequences, 1.0), adapted, atol=1e-4, rtol=1e-5)
        again = completion_logprobs(policy_load(str(folder), tokenizer), sequences, 1.0)
    assert_close(again, adapted, atol=1e-4, rtol=1e-5)
    assert float((adapted - before).abs().max()) > 0.01


def test_the_fresh_head_has_the_papers_width(tmp_path):
    location = t5_make(tmp_path / "t5")
    model = reward_model_from_policy(location, tokenizer_load(location))
    head_initialize(model, torch.Generator().manual_seed(3))
    dense, out = model.classification_head.dense, model.classification_head.out_proj
    # std 1/sqrt(33) = 0.174; 1024 draws put the estimate within 10 % with certainty enough
    assert float(dense.weight.detach().std()) == pytest.approx(33**-0.5, rel=0.1)
    assert out.weight.shape == (1, 32)
    assert not dense.bias.any()
    assert not out.bias.any()


def test_the_template_ends_the_encoders_text_with_eos(tmp_path):
    tokenizer = tokenizer_load(t5_make(tmp_path / "t5"))
    token_ids = prompt_encode(tokenizer, chat("hi"))
    assert token_ids[-1] == 257
    assert tokenizer.decode(token_ids[:-1]) == "User:\nhi\n\nAssistant:\n"


def test_methods_that_sample_refuse(tmp_path):
    model = policy_load(t5_make(tmp_path / "t5"), tiny_tokenizer())
    with pytest.raises(CheckpointInvalid, match=r"PPO does not work with .* \(t5\).*sft"):
        require_decoder_only(model, "PPO")


def test_packed_rows_are_refused_not_misread(tmp_path):
    model = policy_load(t5_make(tmp_path / "t5"), tiny_tokenizer())
    packed = packed_collate(PROMPTS, COMPLETIONS, [[0, 1]], pad_id=256)
    with pytest.raises(ValueError, match="one sequence per row"):
        completion_hidden(model, packed)


def test_other_encoder_decoder_families_are_refused(tmp_path):
    AutoModelForSeq2SeqLM.from_config(
        AutoConfig.for_model(
            "bart", vocab_size=260, d_model=8, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=1, decoder_attention_heads=1, max_position_embeddings=16,
        )
    ).save_pretrained(tmp_path)  # fmt: skip
    with pytest.raises(CheckpointInvalid, match=r"bart .* not supported; these are: t5"):
        policy_load(str(tmp_path), tiny_tokenizer())


def test_dpo_starts_at_the_coins_loss_and_sampling_refuses(tmp_path):
    base = t5_make(tmp_path / "t5", "t5-v1.1")
    dpo = run_folder_make(
        tmp_path / "dpo",
        "dpo",
        {"min_train_rankings": 4, "batch_size": 4},
        {"reference": base},
        {"rankings": ranking_records(8)},
    )
    assert run_folder("dpo", str(dpo)) == 0
    (_, first), *_ = metrics_read(dpo)["dpo/loss"]
    assert first == pytest.approx(math.log(2), abs=1e-5)  # policy = reference: every margin is 0
    sample = run_folder_make(
        tmp_path / "sample", "sample", {}, {"policy": base}, {"prompts": prompt_records(4)}
    )
    assert run_folder("sample", str(sample)) == EXIT_EXPECTED
    assert "encoder-decoder" in (sample / "error.json").read_text()


def test_sft_and_reward_model_runs_learn_and_load_in_plain_transformers(tmp_path):
    base = t5_make(tmp_path / "t5", "t5-v1.1")
    demonstrations = demonstration_records(12)
    sft = run_folder_make(
        tmp_path / "sft",
        "sft",
        {"num_epochs": 4, "learning_rate": 1e-2, "batch_size": 4},
        {"init": base},
        {"demonstrations": demonstrations},
    )
    assert run_folder("sft", str(sft)) == 0
    reward = run_folder_make(
        tmp_path / "reward",
        "reward_model",
        {"learning_rate": 1e-2, "batch_size": 4, "min_train_rankings": 8},
        {"init": sft / "output"},
        {"rankings": ranking_records(40), "demonstrations": demonstrations},
    )
    assert run_folder("reward_model", str(reward)) == 0
    assert result_read(reward)["metrics"]["reward_model/train_accuracy"] > 0.6
    tokenizer = AutoTokenizer.from_pretrained(reward / "output")
    model = AutoModelForSequenceClassification.from_pretrained(reward / "output").eval()
    record = demonstrations[0]
    ids = tokenizer.apply_chat_template(
        record["prompt"], add_generation_prompt=True, return_dict=False
    )
    completions = [record["completion"], "no"]
    texts = [[*ids, *tokenizer(text)["input_ids"], 257] for text in completions]
    with torch.no_grad():
        plain = [float(model(input_ids=tensor([text])).logits) for text in texts]
        sequences = sequences_collate(
            [ids, ids], [text[len(ids) :] for text in texts], pad_id=tokenizer.pad_token_id
        )
        ours = sequence_scores(reward_model_load(str(reward / "output"), tokenizer), sequences)
    assert_close(ours + reward_bias(model), tensor(plain), atol=1e-5, rtol=1e-5)
