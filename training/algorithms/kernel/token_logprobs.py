"""log pi(token) from hidden rows through a plain linear head, a chunk of logits at a time.

The forward pass keeps the hidden rows, one normalizer per row and the last chunk; the backward
pass works out the other chunks again, turns each into its own gradient in place, and adds both
products. Between the passes, and during each, one chunk of logits is alive.
"""

from typing import Any

import torch
from torch import Tensor


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    tokens: Tensor,
    temperature: float,
    chunk_rows: int,
) -> Tensor:
    """log softmax((hidden @ weight.T + bias) / temperature)[tokens] [N] in nats, differentiable.

    hidden [N, D], weight [V, D], bias [V] or None, tokens [N]. The products run in the dtype of
    autocast where that is on, else in that of hidden; the softmax in fp32 or wider. Gradients
    reach hidden, weight and bias, each where it is wanted; there is no second derivative.
    """
    dtype = hidden.dtype
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
    with torch.autocast(hidden.device.type, enabled=False):
        result: Tensor = _TokenLogprobs.apply(
            hidden, weight, bias, tokens, temperature, chunk_rows, dtype
        )
    return result


class _TokenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        tokens: Tensor,
        temperature: float,
        chunk_rows: int,
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.temperature, ctx.chunk_rows, ctx.dtype = temperature, chunk_rows, dtype
        is_wanted = any(ctx.needs_input_grad[:3])
        table = weight.to(dtype)
        wide = torch.promote_types(dtype, torch.float32)
        logprobs = torch.empty(len(tokens), dtype=wide, device=hidden.device)
        normalizers = torch.empty_like(logprobs)
        kept = None
        for start in range(0, len(tokens), chunk_rows):
            part = slice(start, start + chunk_rows)
            kept = None  # the previous chunk must be gone before the next one comes
            logits = _logits(hidden[part].to(dtype), table, bias, temperature)
            chosen = logits.gather(-1, tokens[part, None])
            maxima = logits.amax(-1, keepdim=True)
            kept = logits.sub_(maxima).exp_()
            del logits
            sums = kept.sum(-1, keepdim=True)
            normalizers[part] = (maxima + sums.log()).squeeze(-1)
            logprobs[part] = (chosen - maxima - sums.log()).squeeze(-1)
        if is_wanted and kept is not None:
            ctx.save_for_backward(hidden, weight, bias, tokens, normalizers)
            ctx.kept = kept.div_(sums)  # probabilities of the last chunk
        return logprobs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, tokens, normalizers = ctx.saved_tensors
        (gradient,) = gradients
        to_hidden, to_weight, to_bias = ctx.needs_input_grad[:3]
        table = weight.to(ctx.dtype)
        grad_hidden = torch.empty_like(hidden) if to_hidden else None
        grad_weight = torch.zeros_like(weight) if to_weight else None
        grad_bias = torch.zeros_like(bias) if to_bias else None
        probabilities, ctx.kept = ctx.kept, None
        for start in reversed(range(0, len(tokens), ctx.chunk_rows)):
            part = slice(start, start + ctx.chunk_rows)
            rows = hidden[part].to(ctx.dtype)
            if probabilities is None:
                logits = _logits(rows, table, bias, ctx.temperature)
                probabilities = logits.sub_(normalizers[part, None]).exp_()
                del logits
            # d logprob / d logits = (onehot - softmax) / temperature
            scale = (gradient[part] / ctx.temperature)[:, None]
            slope = probabilities.mul_(-scale).scatter_add_(1, tokens[part, None], scale)
            slope, probabilities = slope.to(ctx.dtype), None
            if grad_hidden is not None:
                grad_hidden[part] = slope @ table
            if grad_weight is not None:
                _add_product(grad_weight, slope, rows)
            if grad_bias is not None:
                grad_bias += slope.sum(0)
            del slope
        return grad_hidden, grad_weight, grad_bias, None, None, None, None


def _logits(rows: Tensor, table: Tensor, bias: Tensor | None, temperature: float) -> Tensor:
    """Logits [n, V] over temperature, in fp32 or wider, in memory of their own."""
    logits = rows @ table.T
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if bias is not None:
        logits += bias
    return logits if temperature == 1.0 else logits.div_(temperature)


def _add_product(total: Tensor, slope: Tensor, rows: Tensor) -> None:
    """total [V, D] += slope.T [V, n] @ rows [n, D]."""
    if total.dtype == rows.dtype:
        total.addmm_(slope.T, rows)
    else:
        total += slope.T @ rows
