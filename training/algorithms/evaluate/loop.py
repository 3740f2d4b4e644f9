"""Policies compared on held-out prompts and texts, the reward model measured on held-out rankings.

All policies answer the same prompts with the same seeds; one model is in memory at a time. What has
no model or no data is left out. A killed run computes the parts that were not finished.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from transformers import AutoConfig

from training.algorithms.data.chat import completion_decode
from training.algorithms.data.encoding import (
    data_metrics,
    prompt_limit,
    prompts_encode,
    rankings_encode,
    texts_encode,
)
from training.algorithms.data.record_checks import PERSON
from training.algorithms.engine.state import Parts
from training.algorithms.errors import DataTooSmall
from training.algorithms.evaluate import EvaluateConfig
from training.algorithms.evaluate.answers import (
    Answers,
    answers_first,
    answers_kl,
    answers_logprobs,
    answers_sample,
    first_rows,
    prompts_repeated,
    retention_loss,
    texts_within,
)
from training.algorithms.evaluate.comparison import (
    CANDIDATE,
    Measures,
    best_of_n_curve,
    chosen_role,
    comparison_metrics,
    entry,
    gain_gap_metrics,
    per_prompt,
)
from training.algorithms.formulas.ranking_losses import Ties
from training.algorithms.measuring.calibration import calibration_report, judged_pairs
from training.algorithms.measuring.scoring import (
    closed_completions,
    ranking_report,
    ranking_scores,
    scores,
)
from training.algorithms.models.checkpoint_io import (
    context_length,
    policy_load,
    reward_model_load,
    tokenizer_load,
)
from training.algorithms.models.encoder_decoder import require_decoder_only
from training.algorithms.records import Prompt, RankedCompletions
from training.algorithms.run_dir import Result, RunDir

PROXY, TEST, PREVIOUS = "reward_model", "test_reward_model", "previous"

Part = dict[str, Any]
"""The result of a part. Of a policy: "answers", "retention_loss", and "logprobs" of its answers; of
the reference instead the "kl" of every other policy's. Of a reward model: "scores" by policy."""


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """A run with its data encoded; no model is loaded."""

    run_dir: RunDir
    config: EvaluateConfig
    tokenizer: Any
    prompts: list[Prompt]
    rankings: list[RankedCompletions]
    texts: list[list[int]]

    @property
    def candidates(self) -> list[str]:
        """The roles of the policies to choose from, by step."""
        earlier = [role for role in self.run_dir.inputs if role.startswith(CANDIDATE)]
        return [*sorted(earlier), "policy"]

    @property
    def policies(self) -> list[str]:
        """All roles that are compared with the reference."""
        return [*self.candidates, *self.present(PREVIOUS)]

    def present(self, *roles: str) -> list[str]:
        """Those of the optional roles that this run has."""
        return [role for role in roles if role in self.run_dir.inputs]


def run(run_dir: RunDir) -> Result:
    config = run_dir.config_as(EvaluateConfig)
    evaluation, counts = _open(run_dir, config)
    metrics: dict[str, float] = {}
    data: dict[str, Any] = {
        "num_rankings": len(evaluation.rankings),
        "num_prompts": len(evaluation.prompts),
        "num_texts": len(evaluation.texts),
        "accuracy_interval": "Wilson 95 % at the effective number of pairs, clustered by prompt",
    }
    parts = _parts_do(evaluation)
    if PROXY in parts and evaluation.rankings:
        metrics |= parts[PROXY]["metrics"]
        if parts[PROXY]["calibration"] is not None:
            data["calibration"] = parts[PROXY]["calibration"]
    if evaluation.prompts:
        compared, told = _compare(evaluation, parts)
        metrics |= compared
        data |= told
    run_dir.metrics_write(0, metrics | counts)
    return Result(metrics, data)


def _open(run_dir: RunDir, config: EvaluateConfig) -> tuple[_Evaluation, dict[str, float]]:
    """The run, and the counts of what was left out. Raises DataTooSmall when nothing is left."""
    location = run_dir.input_path("policy")
    tokenizer = tokenizer_load(location)
    described = SimpleNamespace(
        config=AutoConfig.from_pretrained(location, trust_remote_code=False)
    )
    limit = prompt_limit(described, config.max_new_tokens, config.max_prompt_tokens)
    records = run_dir.records("prompts", "held_out")[: config.max_prompts]
    prompts = prompts_encode(tokenizer, records, limit)
    max_tokens = min(config.max_tokens, context_length(described) or config.max_tokens)
    rankings = rankings_encode(tokenizer, run_dir.records("rankings", "held_out"), max_tokens)
    texts = texts_encode(tokenizer, run_dir.records("texts"), max_tokens, with_special=True)
    evaluation = _Evaluation(
        run_dir,
        config,
        tokenizer,
        prompts.records,
        [ranking for ranking in rankings.records if ranking.labeler == PERSON],
        texts_within(texts.records, config.max_retention_tokens),
    )
    if not prompts.records and not (evaluation.rankings and evaluation.present(PROXY)):
        raise DataTooSmall("held-out rankings and prompts", 0, 1)
    return evaluation, data_metrics(rankings, prompts, texts)


# ---- one model after the other


def _parts_do(evaluation: _Evaluation) -> dict[str, Part]:
    """What every model says, by its role."""
    roles = [*evaluation.policies, "reference"] if evaluation.prompts else []
    judges = evaluation.present(PROXY, TEST)
    parts = Parts(evaluation.run_dir, len(roles) + len(judges))
    done: dict[str, Part] = {}
    for role in roles:
        done[role] = parts.once(role, partial(_policy_ask, evaluation, role, dict(done)))
    answers = {role: part["answers"] for role, part in done.items()}
    for role in judges:
        done[role] = parts.once(role, partial(_reward_model_ask, evaluation, role, answers))
    return done


def _policy_ask(evaluation: _Evaluation, role: str, others: dict[str, Part]) -> Part:
    """others: the parts of all other policies, read for the reference's."""
    config, tokenizer, prompts = evaluation.config, evaluation.tokenizer, evaluation.prompts
    model = policy_load(evaluation.run_dir.input_path(role), tokenizer)
    require_decoder_only(model, "Evaluation")
    per = config.completions_per_prompt
    if role == "reference":
        per = max(per, config.best_of_n)
    answers = answers_sample(model, tokenizer, prompts, per, config, evaluation.run_dir)
    loss = retention_loss(model, evaluation.texts, tokenizer.pad_token_id)
    part: Part = {"answers": answers, "retention_loss": loss}

    def logprobs(of: Answers) -> Any:
        return answers_logprobs(model, prompts, of, config.temperature, tokenizer.pad_token_id)

    if role != "reference":
        return part | {"logprobs": logprobs(answers)}
    part["kl"] = {
        other: answers_kl(told["logprobs"], logprobs(told["answers"]))
        for other, told in others.items()
    }
    return part


def _reward_model_ask(evaluation: _Evaluation, role: str, answers: dict[str, Answers]) -> Part:
    """The proxy is measured on the held-out rankings, too; the test reward model learned them."""
    tokenizer, pad_id = evaluation.tokenizer, evaluation.tokenizer.pad_token_id
    model = reward_model_load(evaluation.run_dir.input_path(role), tokenizer)
    told: dict[str, list[float]] = {}
    for policy, given in answers.items():
        prompts = prompts_repeated(evaluation.prompts, given["per_prompt"])
        closed = closed_completions(given["token_ids"], tokenizer.eos_token_id)
        told[policy] = scores(model, prompts, closed, pad_id).tolist()
    part: Part = {"scores": told, "metrics": {}, "calibration": None}
    if role == PROXY and evaluation.rankings:
        part["metrics"], part["calibration"] = rankings_measure(model, evaluation.rankings, pad_id)
    return part


def rankings_measure(
    reward: Any, rankings: Sequence[RankedCompletions], pad_id: int
) -> tuple[dict[str, float], dict[str, Any] | None]:
    """Metrics of the reward model on rankings, and its calibration report if any pair is no tie."""
    rows = ranking_scores(reward, rankings, pad_id)
    tie_log_nu = getattr(reward.config, "tie_log_nu", None)
    ties: Ties = "half" if tie_log_nu is None else "davidson"
    report = ranking_report(rows, rankings, ties, tie_log_nu or 0.0)
    metrics = {
        "evaluate/ranking_loss": report.loss,
        "evaluate/num_rankings": float(report.num_rankings),
        "evaluate/num_pairs": float(report.num_pairs),
    }
    pairs = judged_pairs(rows, rankings)
    if not pairs:
        return metrics, None
    calibration = calibration_report(pairs)
    return metrics | {
        "evaluate/pair_accuracy": calibration["accuracy"],
        "evaluate/pair_accuracy_low": calibration["low"],
        "evaluate/pair_accuracy_high": calibration["high"],
        "evaluate/effective_pairs": calibration["effective_pairs"],
        "evaluate/brier": calibration["brier"],
        "evaluate/calibration_error": calibration["calibration_error"],
    }, calibration


# ---- comparing


def _compare(
    evaluation: _Evaluation, parts: dict[str, Part]
) -> tuple[dict[str, float], dict[str, Any]]:
    """Metrics and data; writes samples.jsonl."""
    measured = {role: _measures(evaluation, parts, role) for role in evaluation.policies}
    reference = _measures(evaluation, parts, "reference")
    candidates = [measured[role] for role in evaluation.candidates]
    chosen = chosen_role(candidates)
    metrics = comparison_metrics(measured[chosen], reference, measured.get(PREVIOUS))
    data: dict[str, Any] = {
        "candidates": [entry(each, reference) for each in candidates],
        "reference": entry(reference, reference),
        "chosen": chosen,
        "best_of_n": [],
    }
    if PREVIOUS in measured:
        data[PREVIOUS] = entry(measured[PREVIOUS], reference)
    if PROXY in parts:
        proxy = parts[PROXY]["scores"]["reference"]
        test = parts[TEST]["scores"]["reference"] if TEST in parts else None
        num_samples = parts["reference"]["answers"]["per_prompt"]
        data["best_of_n"] = best_of_n_curve(proxy, test, num_samples)
        if test is not None:
            metrics |= gain_gap_metrics(measured[chosen], reference, proxy, test)
    _samples_write(evaluation, parts, [chosen, "reference", *evaluation.present(PREVIOUS)])
    return metrics, data


def _measures(evaluation: _Evaluation, parts: dict[str, Part], role: str) -> Measures:
    """Of a policy by its first completions_per_prompt answers to each prompt."""
    per, sampled = evaluation.config.completions_per_prompt, parts[role]["answers"]
    answers = answers_first(sampled, per)

    def judged(judge: str) -> list[float] | None:
        if judge not in parts:
            return None
        values = parts[judge]["scores"][role]
        rows = first_rows(len(values), sampled["per_prompt"], per)
        return per_prompt([values[row] for row in rows], per)

    kl = parts["reference"]["kl"].get(role, [0.0] * len(answers["seeds"]))
    lengths = [len(ids) for ids in answers["token_ids"]]
    return Measures(
        role=role,
        proxy=judged(PROXY),
        test=judged(TEST),
        kl=per_prompt(kl, per),
        length_tokens=sum(lengths) / len(lengths),
        finished_share=sum(answers["finished"]) / len(lengths),
        retention_loss=parts[role]["retention_loss"],
    )


def _samples_write(evaluation: _Evaluation, parts: dict[str, Part], roles: Sequence[str]) -> None:
    """The answers that the comparison is about."""
    samples: list[dict[str, Any]] = []
    per = evaluation.config.completions_per_prompt
    prompt_ids = [prompt.prompt_id for prompt in evaluation.prompts for _ in range(per)]
    for role in roles:
        answers = answers_first(parts[role]["answers"], per)
        for prompt_id, token_ids, finished, seed in zip(
            prompt_ids, answers["token_ids"], answers["finished"], answers["seeds"], strict=True
        ):
            samples.append(
                {
                    "index": len(samples),
                    "prompt_id": prompt_id,
                    "role": role,
                    "text": completion_decode(evaluation.tokenizer, token_ids),
                    "num_tokens": len(token_ids),
                    "finished": finished,
                    "seed": seed,
                }
            )
    evaluation.run_dir.samples_write(samples)
