"""Asks a judge about every pair by every principle in both orders; writes judgements.jsonl.

Prompts and completions are hostile text: an answer may try to talk to the judge. Swapping the order
does not protect from that; measuring the agreement with people, which the app demands before a
label counts, shows it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from training.algorithms.ai_feedback import AIFeedbackConfig
from training.algorithms.ai_feedback.judges import Judge, LocalJudge, ServerJudge, Verdict
from training.algorithms.ai_feedback.questions import (
    Pair,
    Principle,
    pairs_read,
    principles_choose,
    principles_read,
    question_messages,
)
from training.algorithms.errors import DataTooSmall, GenerationFailed
from training.algorithms.formulas.ai_labels import (
    OrderedLabel,
    clamp,
    principles_mean,
    swap_average,
)
from training.algorithms.models.checkpoint_io import policy_load, tokenizer_load
from training.algorithms.run_dir import Result, RunDir
from training.algorithms.sampling.server_generator import server_open

Judgement = dict[str, Any]
"""A line of judgements.jsonl; {"pair_id", "probability": None} where nothing could be read."""


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(AIFeedbackConfig)
    pairs = pairs_read(run_dir.records("pairs"))
    principles = principles_read(run_dir.records("principles"))
    judge = judge_open(run_dir, config)
    fitting = [pair for pair in pairs if _fits(judge, pair, principles)]
    num_too_long = len(pairs) - len(fitting)
    run_dir.metrics_write(0, {"data/pairs_too_long": num_too_long})
    if not fitting:
        raise DataTooSmall(
            "pairs to judge", 0, 1, f"All {num_too_long} make a longer question than max_tokens."
        )
    answered = _judge_all(run_dir, config, judge, fitting, principles)
    judgements = [each for each in answered if each["probability"] is not None]
    if not judgements:
        raise GenerationFailed(
            f"None of the answers about {len(fitting)} pairs names A or B. Choose a model that "
            "follows instructions, without a reasoning mode.",
            num_failed=len(fitting),
            num_completions=len(fitting),
        )
    run_dir.records_write("judgements", judgements)
    metrics = judgements_metrics(judgements) | {
        "ai_feedback/pairs_unread": len(fitting) - len(judgements)
    }
    run_dir.metrics_write(0, metrics)
    data = {"num_pairs": len(pairs), "num_too_long": num_too_long}
    return Result(metrics, data | {"num_judgements": len(judgements)})


def judge_open(run_dir: RunDir, config: AIFeedbackConfig) -> Judge:
    """Raises CheckpointInvalid, ConfigError or GenerationFailed."""
    if config.server_url is not None:
        return ServerJudge(server_open(config.server_url, config.server_model), config.max_tokens)
    location = run_dir.input_path("judge")
    tokenizer = tokenizer_load(location)
    model = policy_load(location, tokenizer)
    return LocalJudge(model, tokenizer, config.max_tokens, config.micro_batch_tokens)


def _fits(judge: Judge, pair: Pair, principles: Sequence[Principle]) -> bool:
    """By the longest principle; the order hardly matters to the length."""
    longest = max(principles, key=lambda principle: len(principle.text))
    return all(judge.fits(question_messages(pair, longest, swapped)) for swapped in (False, True))


def _judge_all(
    run_dir: RunDir,
    config: AIFeedbackConfig,
    judge: Judge,
    pairs: Sequence[Pair],
    principles: Sequence[Principle],
) -> list[Judgement]:
    """Chunk by chunk in the order given; finished chunks survive a kill."""
    judgements: list[Judgement] = []
    if (folder := run_dir.state_path()) is not None:
        judgements = json.loads((folder / "judgements.json").read_text(encoding="utf-8"))

    def write(folder: Path) -> None:
        (folder / "judgements.json").write_text(json.dumps(judgements), encoding="utf-8")

    for start in range(len(judgements), len(pairs), config.batch_pairs):
        chunk = pairs[start : start + config.batch_pairs]
        judgements += judge_chunk(run_dir, config, judge, chunk, principles)
        run_dir.progress_write(len(judgements), len(pairs), "pairs judged")
        run_dir.state_save(write)
        run_dir.leave_if_asked()
    return judgements


def judge_chunk(
    run_dir: RunDir,
    config: AIFeedbackConfig,
    judge: Judge,
    pairs: Sequence[Pair],
    principles: Sequence[Principle],
) -> list[Judgement]:
    """Two questions for each pair and principle, the second with the completions swapped."""
    asked = [
        (row, principle)
        for row, pair in enumerate(pairs)
        for principle in principles_choose(
            principles, config.principles_per_pair, run_dir.seed, "principles", pair.pair_id
        )
    ]
    questions = [
        question_messages(pairs[row], principle, swapped)
        for row, principle in asked
        for swapped in (False, True)
    ]
    verdicts = judge.verdicts(questions, run_dir.leave_if_asked)
    labels: list[list[tuple[Principle, Verdict | None, Verdict | None]]] = [[] for _ in pairs]
    for place, (row, principle) in enumerate(asked):
        labels[row].append((principle, verdicts[2 * place], verdicts[2 * place + 1]))
    return [judgement_make(pair, own, config) for pair, own in zip(pairs, labels, strict=True)]


def judgement_make(
    pair: Pair,
    answers: Sequence[tuple[Principle, Verdict | None, Verdict | None]],
    config: AIFeedbackConfig,
) -> Judgement:
    """The mean over the principles whose two answers could be read.

    answers: (principle, P(A) as given, P(A) with the completions swapped).
    """
    labels: list[OrderedLabel] = []
    per_principle, is_hard = [], False
    for principle, given, swapped in answers:
        if given is None or swapped is None:
            continue
        label = swap_average(given.probability, 1 - swapped.probability)
        labels.append(label)
        is_hard |= given.is_hard or swapped.is_hard
        per_principle.append(
            {
                "principle_id": principle.principle_id,
                "probability": label.probability,
                "order_gap": label.order_gap,
            }
        )
    if not labels:
        return {"pair_id": pair.pair_id, "probability": None}
    mean = principles_mean(labels)
    return {
        "pair_id": pair.pair_id,
        "probability": clamp(mean.probability, config.clamp_low, config.clamp_high),
        "order_gap": mean.order_gap,
        "hard": is_hard,
        "principles": per_principle,
    }


def judgements_metrics(judgements: Sequence[Judgement]) -> dict[str, float]:
    """Means over at least one judgement."""
    return {
        "ai_feedback/num_judgements": len(judgements),
        "ai_feedback/order_gap": fmean(each["order_gap"] for each in judgements),
        "ai_feedback/order_gap_size": fmean(abs(each["order_gap"]) for each in judgements),
        "ai_feedback/sureness": fmean(abs(2 * each["probability"] - 1) for each in judgements),
        "ai_feedback/hard_share": fmean(each["hard"] for each in judgements),
    }
