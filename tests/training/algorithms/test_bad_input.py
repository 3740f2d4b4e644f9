"""What is malformed ends the run by name; what cannot be learned from is left out and counted."""

import pytest

from tests.tiny import chat, run_folder_make, tiny_tokenizer
from training.algorithms.data.encoding import (
    data_metrics,
    demonstrations_encode,
    prompts_encode,
    rankings_encode,
    ratings_encode,
    records_require,
    texts_encode,
)
from training.algorithms.data.record_checks import SplitCheck
from training.algorithms.errors import DataTooSmall, RunFolderInvalid
from training.algorithms.run_dir import RunDir

RANKING = {
    "id": 7,
    "prompt_id": 3,
    "prompt": chat("ask"),
    "completions": ["one", "two"],
    "ranks": [1, 2],
}
DEMONSTRATION = {"id": 7, "prompt_id": 3, "prompt": chat("ask"), "completion": "one"}


def rankings(*changes, max_tokens=100):
    return rankings_encode(tiny_tokenizer(), [RANKING | change for change in changes], max_tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"completions": ["one"], "ranks": [1]}, "at least 2 texts"),
        ({"completions": "one two"}, "at least 2 texts"),
        ({"completions": ["one", None]}, "completions is None; expected a text"),
        ({"completions": ["one", "\ud800"]}, "valid Unicode"),
        ({"ranks": [1]}, "2 completions, but ranks is"),
        ({"ranks": 1}, "2 completions, but ranks is"),
        ({"ranks": [0, 1]}, "integers from 1"),
        ({"ranks": [1, 1.5]}, "integers from 1"),
        ({"ranks": [1, True]}, "integers from 1"),
        ({"prompt": []}, "at least one"),
        ({"prompt": "ask"}, "a list of"),
        ({"prompt": ["ask"]}, '"role" and "content"'),
        ({"prompt": [{"role": "wizard", "content": "x"}]}, "'wizard'; expected one of system"),
        ({"prompt": [{"role": "user", "content": 3}]}, "content is 3"),
        ({"prompt": chat("  \n")}, "not blank"),
        ({"prompt": [*chat("x"), {"role": "assistant", "content": "y"}]}, "of the user"),
        ({"prompt_id": None}, "an integer or a text"),
        ({"prompt_id": [3]}, "an integer or a text"),
        ({"weight": 0}, "a number above 0"),
        ({"weight": float("nan")}, "a number above 0"),
        ({"weight": "2"}, "a number above 0"),
        ({"strength": -0.1}, "from 0, or null"),
        ({"strength": True}, "from 0, or null"),
        ({"sources": ["a"]}, "2 texts, one per completion"),
        ({"round": 1.0}, "an integer, or null"),
        ({"probability": 1.01}, "a number from 0 to 1, or null"),
        ({"probability": "0.5"}, "a number from 0 to 1, or null"),
        ({"probability": float("nan")}, "a number from 0 to 1, or null"),
        (
            {"probability": 0.5, "completions": ["one", "two", "six"], "ranks": [1, 2, 3]},
            "exactly 2 completions with it, not 3",
        ),
        ({"labeler": "robot"}, "'person' or 'ai'"),
    ],
)
def test_a_malformed_ranking_is_refused_by_id(change, message):
    assert len(rankings({}).records) == 1
    with pytest.raises(RunFolderInvalid, match=message) as caught:
        rankings({}, change)
    assert " 7" in caught.value.message


def test_a_missing_field_is_named():
    record = {name: value for name, value in RANKING.items() if name != "ranks"}
    with pytest.raises(RunFolderInvalid, match="record 7 has no 'ranks'"):
        rankings_encode(tiny_tokenizer(), [record], 100)


def test_a_demonstration_must_say_something():
    with pytest.raises(RunFolderInvalid, match="record 7: completion is ' '"):
        demonstrations_encode(tiny_tokenizer(), [DEMONSTRATION | {"completion": " "}], 100)


def test_optional_fields_of_a_ranking_arrive_and_default():
    given = {"weight": 2, "strength": 0, "sources": ["round-1", "person"], "round": 4}
    plain, full = rankings({}, given).records
    assert (plain.weight, plain.strength, plain.sources, plain.round) == (1.0, None, None, None)
    assert (full.weight, full.strength, full.round) == (2.0, 0.0, 4)
    assert full.sources == ("round-1", "person")


def test_a_probability_and_its_labeler_arrive_and_default():
    plain, soft = rankings({}, {"probability": 0, "labeler": "ai"}).records
    assert (plain.probability, plain.labeler) == (None, "person")
    assert (soft.probability, soft.labeler) == (0.0, "ai")


def test_a_probability_is_no_tie():
    encoded = rankings({"ranks": [1, 1]}, {"ranks": [1, 1], "probability": 0.7})
    assert encoded.counts["data/rankings_all_tied"] == 1


def test_one_text_at_two_ranks_is_left_out_and_counted():
    same = {"completions": ["one", "one", "two"]}
    encoded = rankings(same | {"ranks": [1, 2, 3]}, same | {"ranks": [1, 1, 2]})
    assert [record.ranks for record in encoded.records] == [[1, 1, 2]]
    assert encoded.counts["data/rankings_contradictory"] == 1


def test_people_who_disagree_are_both_kept():
    encoded = rankings({"ranks": [1, 2]}, {"ranks": [2, 1]})
    assert len(encoded.records) == 2
    assert encoded.counts["data/rankings_contradictory"] == 0
    rated = [DEMONSTRATION | {"desirable": flag} for flag in (True, False)]
    ratings = ratings_encode(tiny_tokenizer(), rated, 100).records
    assert [rating.desirable for rating in ratings] == [True, False]
    assert ratings[0].completion_ids == ratings[1].completion_ids


def test_a_completion_without_text_is_only_eos_and_counted():
    encoded = rankings({"completions": ["one", ""]})
    assert encoded.records[0].completions[1] == [257]
    assert encoded.counts["data/completions_empty"] == 1


def test_counts_of_both_splits_add_up():
    train = rankings({}, {"ranks": [3, 3]})
    held_out = rankings({"ranks": [1, 1]}, {"completions": ["x" * 200, "y"]})
    assert data_metrics(train, held_out) == {
        "data/rankings_too_long": 1,
        "data/rankings_contradictory": 0,
        "data/rankings_all_tied": 2,
        "data/completions_empty": 0,
    }


def test_nothing_but_ties_is_refused_but_one_preference_will_do():
    tied = {"ranks": [2, 2]}
    records_require(rankings(tied, tied, {}), "training rankings", 1)
    with pytest.raises(DataTooSmall, match="All 2 tie every completion"):
        records_require(rankings(tied, tied), "training rankings", 1)


def test_when_everything_is_too_long_the_message_counts_it():
    encoded = rankings({}, {}, max_tokens=5)
    with pytest.raises(DataTooSmall, match="2 were left out as too long") as caught:
        records_require(encoded, "training rankings", 1)
    assert caught.value.extra == {"what": "training rankings", "have": 0, "need": 1}


def test_texts_get_eos_and_no_template(tokenizer):
    encoded = texts_encode(tokenizer, [{"text": "ab"}, {"text": "abc"}], 3)
    assert encoded.records == [[*tokenizer("ab")["input_ids"], 257]]
    assert encoded.counts == {"data/texts_too_long": 1}


def test_texts_may_be_written_by_the_template(tokenizer):
    """One token each for the markup, and no second EOS."""
    ids = tokenizer.convert_tokens_to_ids(["<|user|>", "h", "i", "<|end|>", "<|assistant|>", "o"])
    records = [{"text": "<|user|>hi<|end|><|assistant|>o<|end|>"}, {"text": "hi"}]
    written, plain = texts_encode(tokenizer, records, 100, with_special=True).records
    assert written == [*ids, tokenizer.eos_token_id]
    assert plain == [*ids[1:3], tokenizer.eos_token_id]
    assert len(texts_encode(tokenizer, records, 100).records[0]) == len(records[0]["text"]) + 1


def test_a_rating_needs_a_verdict(tokenizer):
    with pytest.raises(RunFolderInvalid, match="desirable is 1; expected true or false"):
        ratings_encode(tokenizer, [DEMONSTRATION | {"desirable": 1}], 100)


def test_a_prompt_with_a_lone_surrogate_is_refused(tokenizer):
    with pytest.raises(RunFolderInvalid, match="valid Unicode"):
        prompts_encode(tokenizer, [{"prompt_id": 1, "prompt": chat("a\ud800")}], 100)


def test_a_template_that_writes_nothing_is_refused():
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ '' }}"
    with pytest.raises(RunFolderInvalid, match="makes no token"):
        prompts_encode(tokenizer, [{"prompt_id": 1, "prompt": chat("a")}], 100)


def test_a_prompt_on_both_sides_is_named():
    check = SplitCheck()
    check.add("rankings", RANKING | {"split": "train"})
    check.add("rankings", RANKING | {"split": "train", "id": 8})
    changed = {"split": "held_out", "id": 9, "prompt": chat("ask again")}
    with pytest.raises(RunFolderInvalid, match="prompt 3 leaks: record 9 of rankings"):
        check.add("rankings", RANKING | changed)


def test_the_same_judged_messages_leak_under_another_id_and_in_another_file():
    check = SplitCheck()
    check.add("rankings", RANKING | {"split": "train"})
    check.add("prompts", {"prompt_id": 3, "prompt": chat("ask"), "split": "held_out"})
    for file, record in (("rankings", RANKING), ("demonstrations", DEMONSTRATION)):
        with pytest.raises(RunFolderInvalid, match=f"prompt 5 leaks: record 7 of {file}"):
            check.add(file, record | {"split": "held_out", "prompt_id": 5})


def test_an_unknown_split_is_refused_not_dropped():
    with pytest.raises(RunFolderInvalid, match="'test'; expected 'train' or 'held_out'"):
        SplitCheck().add("rankings", RANKING | {"split": "test"})


def test_a_run_folder_is_checked_as_it_is_read(tmp_path):
    records = [RANKING | {"split": "train"}, RANKING | {"split": "held_out", "id": 8}]
    run_dir = RunDir(run_folder_make(tmp_path / "run", "reward_model", data={"rankings": records}))
    with pytest.raises(RunFolderInvalid, match="prompt 3 leaks") as caught:
        run_dir.records("rankings", "train")
    assert caught.value.extra == {"prompt_id": 3}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[1]", "is not a JSON object"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, message):
    folder = run_folder_make(tmp_path / "run", "sample", data={"prompts": []})
    (folder / "data" / "prompts.jsonl").write_bytes(b'{"a": "\xc3\xa9"}\n\n' + line + b"\n")
    with pytest.raises(RunFolderInvalid, match=f"line 3 .*{message}"):
        RunDir(folder).records("prompts")


def test_prompts_may_be_named_or_numbered(tokenizer):
    records = [{"prompt_id": name, "prompt": chat("a")} for name in (7, "seven")]
    assert [prompt.prompt_id for prompt in prompts_encode(tokenizer, records, 100).records] == [
        7,
        "seven",
    ]
