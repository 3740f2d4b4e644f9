"""The benchmarks' data: made by seed alone, the lengths as asked, the same ids as the engine's."""

from dataclasses import replace

import pytest

from training.algorithms.data.chat import completion_encode, prompt_encode
from training.benchmarks.tasks import MODELS, TASKS, tasks_pick
from training.benchmarks.workload import (
    SPECIAL,
    completion_ids,
    data_write,
    jsonl_read,
    liked_share,
    prompt_ids,
    rankings,
    records_make,
    tokenizer_make,
)

K4 = replace(TASKS["reward_model_k4"], model="tiny", batch=3, num_steps=2, num_held_out=5)


def test_the_same_seed_gives_the_same_records_and_another_seed_others():
    assert records_make(K4, seed=1) == records_make(K4, seed=1)
    assert records_make(K4, seed=1) != records_make(K4, seed=2)


def test_more_steps_keep_the_first_records():
    longer = records_make(replace(K4, num_steps=4))["train"]
    assert longer[: 3 * 2] == records_make(K4)["train"]
    assert len(longer) == 3 * 4


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_records_for_each_of_its_steps(name):
    task = replace(TASKS[name], num_steps=2, num_held_out=4)
    made = records_make(task)
    per_record = task.k if task.trainer in ("rloo", "grpo", "generate") else 1
    assert len(made["train"]) * per_record == 2 * task.batch
    assert len(made["held_out"]) == 4
    assert not {r["prompt_id"] for r in made["train"]} & {r["prompt_id"] for r in made["held_out"]}


def test_ranks_follow_the_liked_words_but_for_noise():
    agree = total = 0
    for record in rankings(K4, 50, "train", seed=0):
        assert sorted(record["ranks"]) == [1, 2, 3, 4]
        shares = [liked_share(text) for text in record["completions"]]
        for i in range(4):
            for j in range(4):
                if record["ranks"][i] < record["ranks"][j]:
                    total += 1
                    agree += shares[i] > shares[j]
    assert total == 50 * 6
    assert 0.75 < agree / total < 1.0  # learnable, and not without noise


def test_a_word_is_a_token_and_the_ids_are_those_the_engine_reads(tmp_path):
    data_write(K4, tmp_path)
    tokenizer = tokenizer_make(MODELS["tiny"])
    assert len(tokenizer) == MODELS["tiny"].vocab_size
    for record in jsonl_read(tmp_path / "rankings.jsonl"):
        prompt = prompt_ids(tokenizer, record)
        assert prompt == prompt_encode(tokenizer, record["prompt"])
        # <|user|>, the words, <|end|>, <|assistant|>
        assert len(prompt) == len(record["prompt"][0]["content"].split()) + 3
        assert K4.prompt_words[0] + 3 <= len(prompt) <= K4.prompt_words[1] + 3
        for text in record["completions"]:
            ids = completion_ids(tokenizer, text)
            assert ids == completion_encode(tokenizer, text)
            assert len(ids) == len(text.split()) + 1
            assert min(ids[:-1]) >= len(SPECIAL)
            assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_tasks_are_picked_in_table_order_and_a_typo_is_told():
    assert [task.name for task in tasks_pick(["ppo", "sft"])] == ["sft", "ppo"]
    assert len(tasks_pick([])) == len(TASKS)
    with pytest.raises(SystemExit, match="unknown tasks sfd; known: reward_model_k4"):
        tasks_pick(["sfd"])
