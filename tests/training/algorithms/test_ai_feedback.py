"""An AI labeler from end to end: a fake judge, the tiny model, a scripted server."""

import json
import math

import pytest

from tests.tiny import chat, run_folder_make, tiny_checkpoint
from tests.training.algorithms.test_server_generator import good, server  # noqa: F401
from training.algorithms.ai_feedback import AIFeedbackConfig
from training.algorithms.ai_feedback import loop as feedback_loop
from training.algorithms.ai_feedback.judges import ServerJudge, Verdict, answer_read
from training.algorithms.ai_feedback.questions import (
    Pair,
    Principle,
    pairs_read,
    principles_choose,
    question_messages,
)
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.entry import EXIT_EXPECTED, EXIT_STOPPED, run_folder
from training.algorithms.errors import RunFolderInvalid
from training.algorithms.run_dir import RunDir
from training.algorithms.sampling.server_generator import ShortAnswer

PRINCIPLES = [
    {"principle_id": 1, "text": "Be short."},
    {"principle_id": "kind", "text": "Be kind, and say why."},
]


def pair_records(num):
    return [
        {
            "pair_id": f"p{index}",
            "prompt_id": index,
            "prompt": chat(f"ask {index}"),
            "completions": ["yes " * (1 + index % 3), "no"],
        }
        for index in range(num)
    ]


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """The tiny model with room for a question: positions are rotations, so nothing is learned."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("judge") / "judge")
    document = json.loads((folder / "config.json").read_text())
    document["max_position_embeddings"] = 2048
    (folder / "config.json").write_text(json.dumps(document))
    return folder


def judgements(folder):
    return [json.loads(line) for line in (folder / "judgements.jsonl").read_text().splitlines()]


# ---- questions


PAIR = Pair("p", chat("Hi {x}?"), "first text", "second text")


def test_swapping_shows_the_same_texts_under_the_other_letters():
    principle = Principle(1, "Be {kind}.")
    ((given,), (swapped,)) = (question_messages(PAIR, principle, each) for each in (False, True))
    for text in (given["content"], swapped["content"]):
        assert "User: Hi {x}?" in text
        assert "Principle: Be {kind}." in text
    assert "Answer A:\nfirst text\n\nAnswer B:\nsecond text" in given["content"]
    assert "Answer A:\nsecond text\n\nAnswer B:\nfirst text" in swapped["content"]


def test_principles_drawn_by_the_seed_vary_and_repeat():
    principles = [Principle(number, "text") for number in range(6)]
    drawn = [
        tuple(p.principle_id for p in principles_choose(principles, 2, 7, "principles", pair))
        for pair in range(40)
    ]
    assert all(len(set(each)) == 2 for each in drawn)
    assert len(set(drawn)) > 5
    assert drawn[3] == tuple(
        p.principle_id for p in principles_choose(principles, 2, 7, "principles", 3)
    )
    assert principles_choose(principles, 0, 7) == principles


def test_a_pair_that_is_no_pair_is_refused():
    (record,) = pair_records(1)
    with pytest.raises(RunFolderInvalid, match="3 completions"):
        pairs_read([record | {"completions": ["a", "b", "c"]}])
    with pytest.raises(RunFolderInvalid, match="'p0' stands on two"):
        pairs_read([record, record])


# ---- arithmetic with a fake judge


class FakeJudge:
    """P(A) looked up by (completion shown as A, principle's first word)."""

    def __init__(self, table):
        self.table = table

    def fits(self, messages):
        return True

    def verdicts(self, questions, on_batch):
        answers = []
        for ((message),) in questions:
            shown = message["content"].split("Answer A:\n")[1].split("\n")[0]
            word = message["content"].split("Principle: ")[1].split(".")[0]
            answers.append(self.table[shown, word])
        return answers


def soft(probability):
    return Verdict(probability, False)


def judge_once(tmp_path, table, **config):
    pair = pairs_read([pair_records(1)[0] | {"completions": ["one", "two"]}])
    folder = run_folder_make(tmp_path / "run", "ai_feedback")
    principles = [Principle(1, "Short."), Principle(2, "Kind.")]
    resolved = config_resolve(AIFeedbackConfig, config)
    return feedback_loop.judge_chunk(RunDir(folder), resolved, FakeJudge(table), pair, principles)[
        0
    ]


TABLE = {
    ("one", "Short"): soft(0.9),  # as A; as B it gets 1 - 0.5
    ("two", "Short"): soft(0.5),
    ("one", "Kind"): soft(0.4),  # as B it gets 1 - 0.8
    ("two", "Kind"): soft(0.8),
}


def test_orders_and_principles_are_averaged(tmp_path):
    # Short: (0.9 + 0.5) / 2 = 0.7, gap 0.4. Kind: (0.4 + 0.2) / 2 = 0.3, gap 0.2.
    judgement = judge_once(tmp_path, TABLE)
    assert judgement["probability"] == pytest.approx(0.5)
    assert judgement["order_gap"] == pytest.approx(0.3)
    assert judgement["hard"] is False
    short, kind = judgement["principles"]
    assert (short["principle_id"], kind["principle_id"]) == (1, 2)
    assert (short["probability"], kind["probability"]) == (pytest.approx(0.7), pytest.approx(0.3))
    assert (short["order_gap"], kind["order_gap"]) == (pytest.approx(0.4), pytest.approx(0.2))


def test_a_principle_without_an_answer_is_left_out_of_the_mean(tmp_path):
    judgement = judge_once(tmp_path, TABLE | {("two", "Kind"): None})
    assert judgement["probability"] == pytest.approx(0.7)
    assert [each["principle_id"] for each in judgement["principles"]] == [1]


def test_no_answer_at_all_is_no_judgement(tmp_path):
    assert judge_once(tmp_path, dict.fromkeys(TABLE))["probability"] is None


def test_the_label_is_clamped_and_the_principles_keep_what_was_said(tmp_path):
    table = dict.fromkeys([("one", "Short"), ("one", "Kind")], soft(1.0))
    table |= dict.fromkeys([("two", "Short"), ("two", "Kind")], soft(0.0))
    judgement = judge_once(tmp_path, table, clamp_low=0.4, clamp_high=0.6)
    assert judgement["probability"] == 0.6
    assert [each["probability"] for each in judgement["principles"]] == [1.0, 1.0]


@pytest.mark.parametrize("config", [{"clamp_low": 0.6}, {"clamp_high": 0.4}, {"batch_pairs": 0}])
def test_impossible_settings_are_refused(config):
    with pytest.raises(ConfigError):
        config_resolve(AIFeedbackConfig, config)


# ---- a local model


def test_a_local_judge_reads_the_letters_probabilities(tmp_path, judge):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pairs = pair_records(1)
    data = {"pairs": pairs, "principles": PRINCIPLES[:1]}
    folder = run_folder_make(tmp_path / "run", "ai_feedback", {}, {"judge": judge}, data)
    assert run_folder("ai_feedback", str(folder)) == 0
    (written,) = judgements(folder)

    # The same from transformers' own forward pass, one question at a time.
    model = AutoModelForCausalLM.from_pretrained(judge)
    tokenizer = AutoTokenizer.from_pretrained(judge)
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "AB"]

    def probability_of_a(swapped):
        messages = question_messages(pairs_read(pairs)[0], Principle(1, "Be short."), swapped)
        ids = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
        )
        with torch.no_grad():
            logits = model(ids).logits[0, -1, letters].double()
        return float(logits.softmax(0)[0])

    given, swapped = probability_of_a(False), 1 - probability_of_a(True)
    assert written["probability"] == pytest.approx((given + swapped) / 2, abs=1e-6)
    assert written["order_gap"] == pytest.approx(given - swapped, abs=1e-6)
    assert written["pair_id"] == "p0"


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path, judge, monkeypatch):
    config, data = {"batch_pairs": 2}, {"pairs": pair_records(7), "principles": PRINCIPLES}
    whole, again = (
        run_folder_make(tmp_path / name, "ai_feedback", config, {"judge": judge}, data)
        for name in ("whole", "again")
    )
    assert run_folder("ai_feedback", str(whole)) == 0
    judge_chunk, chunks = feedback_loop.judge_chunk, []
    save, saved = RunDir.state_save, []

    def recording(run_dir, config, judge, pairs, principles):
        chunks.append([pair.pair_id for pair in pairs])
        return judge_chunk(run_dir, config, judge, pairs, principles)

    def save_then_stop(run_dir, write):
        save(run_dir, write)
        saved.append(1)
        run_dir.stop_requested = len(saved) == 2

    monkeypatch.setattr(feedback_loop, "judge_chunk", recording)
    monkeypatch.setattr(RunDir, "state_save", save_then_stop)
    assert run_folder("ai_feedback", str(again)) == EXIT_STOPPED
    assert run_folder("ai_feedback", str(again)) == 0
    assert chunks == [["p0", "p1"], ["p2", "p3"], ["p4", "p5"], ["p6"]]
    assert (again / "judgements.jsonl").read_text() == (whole / "judgements.jsonl").read_text()
    assert len(judgements(whole)) == 7
    result = json.loads((whole / "result.json").read_text())
    assert result["metrics"]["ai_feedback/num_judgements"] == 7


def test_questions_that_do_not_fit_are_left_out_and_counted(tmp_path, judge):
    pairs = pair_records(3)
    pairs[1]["completions"] = ["x" * 3000, "y"]
    data = {"pairs": pairs, "principles": PRINCIPLES}
    folder = run_folder_make(tmp_path / "run", "ai_feedback", {}, {"judge": judge}, data)
    assert run_folder("ai_feedback", str(folder)) == 0
    assert [each["pair_id"] for each in judgements(folder)] == ["p0", "p2"]
    assert json.loads((folder / "result.json").read_text())["data"]["num_too_long"] == 1


def test_without_principles_nothing_is_judged(tmp_path, judge):
    data = {"pairs": pair_records(2)}
    folder = run_folder_make(tmp_path / "run", "ai_feedback", {}, {"judge": judge}, data)
    assert run_folder("ai_feedback", str(folder)) == EXIT_EXPECTED
    assert json.loads((folder / "error.json").read_text())["code"] == "data_too_small"


# ---- answers of a server


def place(token, **likely):
    return token, {name.replace("_", " "): math.log(p) for name, p in likely.items()}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (ShortAnswer("A", (place("A", A=0.6, B=0.2),)), Verdict(0.75, False)),
        # "A" and " A" are one option: (0.3 + 0.3) / (0.6 + 0.2)
        (ShortAnswer("A", (place("A", A=0.3, _A=0.3, B=0.2),)), Verdict(0.75, False)),
        # B is not told: at most as likely as the least that is, 0.1; 0.9 / (0.9 + 0.1)
        (ShortAnswer("A", (place("A", A=0.9, I=0.1),)), Verdict(0.9, False)),
        # the letter comes after a bracket
        (ShortAnswer("(B)", (place("(", x=1.0), place("B", A=0.2, B=0.6))), Verdict(0.25, False)),
        # nothing but the letter itself is told, or nothing at all
        (ShortAnswer("B", (place("B", B=0.9),)), Verdict(0.0, True)),
        (ShortAnswer("**A**", None), Verdict(1.0, True)),
        (ShortAnswer(" B) because", None), Verdict(0.0, True)),
        # an article is no letter, and a refusal is no answer
        (ShortAnswer("A good question", None), None),
        (ShortAnswer("Sorry", (place("Sorry", Sorry=0.9, A=0.1),)), None),
        (ShortAnswer("", None), None),
    ],
)
def test_a_servers_answer_is_read(answer, expected):
    read = answer_read(answer)
    if expected is None:
        assert read is None
    else:
        assert read.probability == pytest.approx(expected.probability)
        assert read.is_hard == expected.is_hard


def logprob_answer(probability_a):
    """An answer of one token with its alternatives, as vLLM and OpenAI send it."""
    tops = [
        {"token": letter, "logprob": math.log(p)}
        for letter, p in (("A", probability_a), ("B", 1 - probability_a))
    ]
    choice = {
        "message": {"role": "assistant", "content": "A"},
        "finish_reason": "length",
        "logprobs": {"content": [{"token": "A", "logprob": 0.0, "top_logprobs": tops}]},
    }
    return 200, {}, {"choices": [choice]}


def server_folder(tmp_path, server, num_pairs=3):  # noqa: F811
    data = {"pairs": pair_records(num_pairs), "principles": PRINCIPLES[:1]}
    config = {"server_url": server.url, "batch_pairs": 2}
    return run_folder_make(tmp_path / "run", "ai_feedback", config, {}, data)


def test_a_run_asks_a_server_in_both_orders(tmp_path, server):  # noqa: F811
    def answer(body):
        shown_first = body["messages"][0]["content"].split("Answer A:\n")[1].startswith("yes")
        return logprob_answer(0.9 if shown_first else 0.5)

    server.answer = answer
    folder = server_folder(tmp_path, server)
    assert run_folder("ai_feedback", str(folder)) == 0
    written = judgements(folder)
    assert len(written) == 3
    for judgement in written:
        # "yes" is the first completion: 0.9 shown first, 1 - 0.5 shown second.
        assert judgement["probability"] == pytest.approx(0.7)
        assert judgement["order_gap"] == pytest.approx(0.4)
    assert len(server.requests) == 6
    body = server.requests[0][0]
    assert (body["logprobs"], body["top_logprobs"], body["temperature"]) == (True, 20, 0.0)


def test_a_server_without_logprobs_gives_hard_labels_and_says_so(tmp_path, server):  # noqa: F811
    server.answer = lambda body: good("A")
    folder = server_folder(tmp_path, server)
    assert run_folder("ai_feedback", str(folder)) == 0
    # Always A: in both orders the place decides, so the label is a coin.
    assert {each["probability"] for each in judgements(folder)} == {0.5}
    assert {each["order_gap"] for each in judgements(folder)} == {1.0}
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert metrics["ai_feedback/hard_share"] == 1.0


def test_a_judge_that_never_names_a_letter_ends_the_run(tmp_path, server):  # noqa: F811
    server.answer = lambda body: good("Sorry, no.")
    folder = server_folder(tmp_path, server)
    assert run_folder("ai_feedback", str(folder)) == EXIT_EXPECTED
    error = json.loads((folder / "error.json").read_text())
    assert error["code"] == "generation_failed"
    assert "names A or B" in error["message"]


def test_a_server_judge_leaves_out_what_is_far_too_long():
    judge = ServerJudge(None, max_tokens=10)
    assert judge.fits(chat("x" * 40))
    assert not judge.fits(chat("x" * 41))
