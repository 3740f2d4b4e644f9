"""DPO, IPO and KTO losses against plain arithmetic, and against TRL's own code where it is.

TRL is no dependency: the comparisons with it run in an interpreter that has TRL beside torch
(`.venv-trl/bin/python -m tests.training.algorithms.test_trl_parity` needs no pytest).
"""

import math
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from training.algorithms.formulas.preference_losses import (
    dpo_losses,
    ipo_losses,
    kto_baseline,
    kto_losses,
    ranking_pairs,
)

# log pi and log pi_reference of three pairs, one row of tokens each: chosen, then rejected
CHOSEN = [[-1.0, -0.5, -2.0], [-0.25, -3.0], [-1.5, -1.5, -0.5, -0.125]]
REJECTED = [[-2.0, -0.75], [-1.0, -1.0, -4.0], [-0.5]]
REFERENCE_CHOSEN = [-4.0, -3.0, -3.5]
REFERENCE_REJECTED = [-2.5, -7.0, -1.0]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _log_ratios() -> tuple[list[float], list[float]]:
    chosen = [sum(row) - r for row, r in zip(CHOSEN, REFERENCE_CHOSEN, strict=True)]
    rejected = [sum(row) - r for row, r in zip(REJECTED, REFERENCE_REJECTED, strict=True)]
    return chosen, rejected  # [0.5, -0.25, -0.125], [-0.25, 1.0, 0.5]


def _margins(per_token: bool = False) -> list[float]:
    chosen, rejected = _log_ratios()
    if per_token:
        chosen = [r / len(row) for r, row in zip(chosen, CHOSEN, strict=True)]
        rejected = [r / len(row) for r, row in zip(rejected, REJECTED, strict=True)]
    return [c - r for c, r in zip(chosen, rejected, strict=True)]


# ---- arithmetic


def test_dpo_losses_by_hand() -> None:
    margins = _margins()  # 0.75, -1.25, -0.625
    assert margins == [0.75, -1.25, -0.625]
    for smoothing in (0.0, 0.1):
        expected = [
            -(1 - smoothing) * math.log(_sigmoid(0.3 * m))
            - smoothing * math.log(_sigmoid(-0.3 * m))
            for m in margins
        ]
        assert_close(dpo_losses(tensor(margins), 0.3, smoothing), tensor(expected))
    assert_close(dpo_losses(tensor([0.0]), 0.3), tensor([math.log(2)]))


def test_smoothed_dpo_is_lowest_at_the_finite_margin() -> None:
    beta, smoothing = 0.1, 0.2
    best = torch.tensor(math.log(0.8 / 0.2) / beta, requires_grad=True)
    loss = dpo_losses(best, beta, smoothing)
    loss.backward()
    assert abs(best.grad.item()) < 1e-7
    assert (dpo_losses(best.detach() + tensor([-5.0, 5.0]), beta, smoothing) > loss + 1e-3).all()


def test_dpo_losses_stay_finite_far_out() -> None:
    margins = tensor([-1e5, 1e5], requires_grad=True)
    losses = dpo_losses(margins, 1.0)
    assert_close(losses, tensor([1e5, 0.0]))
    losses.sum().backward()
    assert_close(margins.grad, tensor([-1.0, 0.0]))


def test_ipo_losses_by_hand() -> None:
    margins = _margins()
    # 1 / (2 * 0.25) = 2 nats
    assert_close(ipo_losses(tensor(margins), 0.25), tensor([1.5625, 10.5625, 6.890625]))


def test_kto_losses_by_hand() -> None:
    log_ratios, desirable = tensor([2.0, -1.0, 0.5, 3.0]), tensor([True, True, False, False])
    expected = [
        1.5 * (1 - _sigmoid(0.2 * (2.0 - 0.75))),
        1.5 * (1 - _sigmoid(0.2 * (-1.0 - 0.75))),
        0.5 * (1 - _sigmoid(0.2 * (0.75 - 0.5))),
        0.5 * (1 - _sigmoid(0.2 * (0.75 - 3.0))),
    ]
    assert_close(kto_losses(log_ratios, desirable, 0.75, 0.2, 1.5, 0.5), tensor(expected))


def test_the_kto_baseline_is_a_mean_without_gradient_and_not_negative() -> None:
    mismatched = tensor([1.0, -0.5, 1.0], requires_grad=True)
    assert kto_baseline(mismatched).item() == 0.5
    assert not kto_baseline(mismatched).requires_grad
    assert kto_baseline(-mismatched).item() == 0
    assert kto_baseline(tensor([])).item() == 0


def test_pairs_of_a_ranking_leave_ties_out() -> None:
    assert ranking_pairs([2, 1, 2, 3]) == [(0, 3), (1, 0), (1, 2), (1, 3), (2, 3)]
    assert ranking_pairs([1, 1]) == []


# ---- TRL


class _Gatherer:
    """The part of an accelerator that the trainers' losses ask."""

    device = torch.device("cpu")

    def gather(self, value: Tensor) -> Tensor:
        return value

    gather_for_metrics = gather


class _Tables:
    """A model whose log-probabilities are looked up; row r of input_ids is row r of a table."""

    def __init__(self, tables: list[Tensor]) -> None:
        self._tables = tables

    def __call__(self, **_: Any) -> SimpleNamespace:
        log_probs = self._tables.pop(0)
        zeros = torch.zeros_like(log_probs)
        return SimpleNamespace(
            log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool()
        )


def _table(rows: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Log-probabilities [B, T] of tokens, and the mask [B, 1 + T] that a prompt token precedes."""
    width = max(map(len, rows))
    values = torch.tensor([row + [0.0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[0] + [1] * len(row) + [0] * (width - len(row)) for row in rows])
    return values, mask


def _trl_trainer(**fields: Any) -> SimpleNamespace:
    from collections import defaultdict

    return SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=_Gatherer(),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **fields,
    )


def _trl_pair_loss(loss_type: str, beta: float) -> float:
    from trl import DPOTrainer

    values, mask = _table(CHOSEN + REJECTED)
    trainer = _trl_trainer(
        loss_types=[loss_type],
        loss_weights=[1.0],
        beta=beta,
        ld_alpha=None,
        f_divergence_type="reverse_kl",
        use_weighting=False,
        label_smoothing=0.0,
    )
    model = _Tables([values])
    model.training = True  # type: ignore[attr-defined]
    trainer.model = model
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": tensor(REFERENCE_CHOSEN),
        "ref_rejected_logps": tensor(REFERENCE_REJECTED),
    }
    return float(DPOTrainer._compute_loss(trainer, model, inputs, return_outputs=False))


def _trl_import() -> None:
    """Skips the test where TRL is not; under pytest only, so that a plain script can run this."""
    import pytest

    pytest.importorskip("trl")


def dpo_equals_trl() -> None:
    ours = dpo_losses(tensor(_margins()), 0.3).mean()
    assert_close(ours.item(), _trl_pair_loss("sigmoid", 0.3))


def ipo_by_mean_equals_trl() -> None:
    ours = ipo_losses(tensor(_margins(per_token=True)), 0.25).mean()
    assert_close(ours.item(), _trl_pair_loss("ipo", 0.25))
    by_sum = ipo_losses(tensor(_margins()), 0.25).mean()
    assert abs(by_sum.item() - ours.item()) > 0.1  # the two reductions are different losses


def kto_equals_trl() -> None:
    from trl.trainer.kto_trainer import KTOTrainer

    values, mask = _table(CHOSEN + REJECTED)
    reference = tensor(REFERENCE_CHOSEN + REFERENCE_REJECTED)
    mismatched, mismatched_reference = tensor([-3.0, -4.0, -5.0, -6.0, -2.0, -1.0]), tensor([-4.0])
    desirable = tensor([True, False, True, False, True, True])
    trainer = _trl_trainer(
        loss_type="kto", calculate_KL=True, beta=0.2, desirable_weight=1.25, undesirable_weight=0.75
    )
    trainer._compute_kl_logps = lambda *_: mismatched
    model = _Tables([values])
    model.training = True  # type: ignore[attr-defined]
    trainer.model = model
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "label": desirable,
        "ref_logps": reference,
        "ref_KL_logps": mismatched_reference.expand(6),
    }
    theirs = float(KTOTrainer._compute_loss(trainer, model, inputs, return_outputs=False))
    baseline = kto_baseline(mismatched - mismatched_reference)  # 0.5 nats
    losses = kto_losses(values.sum(-1) - reference, desirable, baseline, 0.2, 1.25, 0.75)
    assert baseline.item() == 0.5
    assert_close(losses.mean().item(), theirs)


def test_dpo_equals_trl() -> None:
    _trl_import()
    dpo_equals_trl()


def test_ipo_by_mean_equals_trl() -> None:
    _trl_import()
    ipo_by_mean_equals_trl()


def test_kto_equals_trl() -> None:
    _trl_import()
    kto_equals_trl()


if __name__ == "__main__":
    for check in (dpo_equals_trl, ipo_by_mean_equals_trl, kto_equals_trl):
        check()
        print(check.__name__, "ok")
