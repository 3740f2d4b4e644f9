"""Times the kernel of docs/methods/kernel.md: vocabulary head, shared prompts, packed rows.

    python -m training.benchmarks.kernel PART [--repeats 5] [--threads 1] [--large]

One thread counts CPU seconds, so that neighbours on the machine matter little; several threads
count wall seconds. The candidates take turns and the fastest of the repeats counts. Random
weights, forward and backward. `--only NAME` runs one candidate and adds by how much the process
grew; compare candidates in processes of their own, as memory is not given back.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions
from torch.nn.functional import linear_cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaForCausalLM

from training.algorithms.kernel.collate import (
    groups_by_length,
    packed_collate,
    rows_packed,
    sequences_collate,
    shared_collate,
)
from training.algorithms.kernel.logprobs import CHUNK_ELEMENTS, completion_loss, last_hidden
from training.algorithms.kernel.prompt_sharing import shares_pay
from training.algorithms.kernel.token_logprobs import token_logprobs

VOCABULARY = 2048
Candidates = dict[str, Callable[[], Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.benchmarks.kernel")
    parser.add_argument("part", choices=["head", "sharing", "packing"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--large", action="store_true", help="768 x 6 instead of 256 x 2")
    parser.add_argument("--only", metavar="NAME", help="one candidate; also prints memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    cases = {"head": head_cases, "sharing": sharing_cases, "packing": packing_cases}
    for title, candidates in cases[options.part](options.large):
        before = peak_mebibytes()
        if options.only:
            candidates = {options.only: candidates[options.only]}
            title += " (+{} MiB)"
        seconds = fastest(candidates, options.repeats, clock)
        title = title.format(peak_mebibytes() - before)
        text = "  ".join(f"{name} {value * 1e3:.0f} ms" for name, value in seconds.items())
        print(f"{title}: {text}", flush=True)


def peak_mebibytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def fastest(candidates: Candidates, repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of the fastest forward and backward pass of each; the candidates take turns."""
    seconds = {name: float("inf") for name in candidates}
    for _ in range(repeats):
        for name, compute in candidates.items():
            start = clock()
            compute().backward()
            seconds[name] = min(seconds[name], clock() - start)
    return seconds


def head_cases(large: bool) -> Any:
    """Three ways to per-token log-probabilities, and SFT's sum, of 1536 rows."""
    width, num_rows = (768 if large else 256), 1536
    generator = torch.Generator().manual_seed(0)
    for size in (2_048, 32_000):
        hidden = torch.randn(num_rows, width, generator=generator).requires_grad_()
        weight = (torch.randn(size, width, generator=generator) / 16).requires_grad_()
        tokens = torch.randint(size, (num_rows,), generator=generator)
        yield f"D={width} V={size}", head_candidates(hidden, weight, tokens, CHUNK_ELEMENTS // size)


def head_candidates(hidden: Tensor, weight: Tensor, tokens: Tensor, rows: int) -> Candidates:
    def autograd(part: Tensor, chosen: Tensor) -> Tensor:
        logits = part @ weight.T
        return logits.gather(-1, chosen[:, None]).squeeze(-1) - logits.logsumexp(-1)

    def checkpointed() -> Tensor:
        parts = zip(hidden.split(rows), tokens.split(rows), strict=True)
        results = [checkpoint(autograd, *part, use_reentrant=False) for part in parts]
        return torch.stack([result.sum() for result in results]).sum()

    def loss() -> Tensor:
        options = LinearCrossEntropyOptions(batch_chunk_size=min(rows, len(tokens)))
        return linear_cross_entropy(hidden, weight, tokens, reduction="sum", options=options)

    return {
        "autograd": lambda: autograd(hidden, tokens).sum(),
        "checkpointed": checkpointed,
        "token_logprobs": lambda: token_logprobs(hidden, weight, None, tokens, 1.0, rows).sum(),
        "linear_cross_entropy": loss,
    }


def sharing_cases(large: bool) -> Any:
    """Scalar-head rows of prompts with K completions each, in separate rows and shared."""
    model = llama(*((768, 6) if large else (256, 2)))
    shapes = [(128, 56, 4), (128, 56, 9)]
    if not large:
        shapes += [(128, 56, 2), (32, 56, 2), (32, 56, 4), (16, 56, 2), (16, 56, 4), (8, 56, 9)]
    for prompt, completion, k in shapes:
        prompts, completions = ragged(2 if large else 8, prompt, completion, k)
        flat = [p for p in prompts for _ in range(k)], [c for group in completions for c in group]
        separate = sequences_collate(*flat, pad_id=0)
        shared = shared_collate(prompts, completions, pad_id=0)
        before, after = separate.input_ids.numel(), shared.input_ids.numel()
        after += shared.shared.prompt_ids.numel() if shared.shared else 0
        pays = shares_pay([*map(len, prompts)], [[*map(len, group)] for group in completions])
        yield (
            f"P={prompt} T={completion} K={k} tokens {after / before:.2f} shares_pay={pays}",
            {
                "separate": lambda s=separate: last_hidden(model, s).sum(),
                "shared": lambda s=shared: last_hidden(model, s).sum(),
            },
        )


def packing_cases(large: bool) -> Any:
    """SFT's loss of 96 ragged sequences: one batch, buckets of similar length, packed rows."""
    model = llama(*((768, 6) if large else (256, 2)))
    num = 24 if large else 96
    generator = torch.Generator().manual_seed(0)
    sizes = (8 + 200 * torch.rand(num, generator=generator) ** 3).int().tolist()
    prompts = [[1] * (size // 2) for size in sizes]
    completions = [[2] * (size - size // 2) for size in sizes]

    def separate(rows: list[int]) -> Tensor:
        chosen = [prompts[row] for row in rows], [completions[row] for row in rows]
        return completion_loss(model, sequences_collate(*chosen, pad_id=0), num)

    def buckets() -> Tensor:
        return torch.stack([separate(group) for group in groups_by_length(sizes, 4096)]).sum()

    def packed(row_tokens: int) -> Tensor:
        rows = rows_packed(sizes, row_tokens)
        return completion_loss(model, packed_collate(prompts, completions, rows, 0), num)

    yield (
        f"{num} sequences of 8 to {max(sizes)} tokens, {sum(sizes)} in all",
        {
            "one batch": lambda: separate([*range(num)]),
            "buckets": buckets,
            "packed in 256": lambda: packed(256),
            "packed in 1024": lambda: packed(1024),
        },
    )


def ragged(
    num: int, prompt: int, completion: int, k: int
) -> tuple[list[list[int]], list[list[list[int]]]]:
    """num prompts of 3/4 to 5/4 of prompt tokens, k completions each, 6/7 to 8/7 of completion."""
    prompts = [[1 + g % 7] * (prompt * (6 + g % 5) // 8) for g in range(num)]
    lengths = [completion * (6 + step % 3) // 7 for step in range(k)]
    return prompts, [[[2 + step % 9] * length for step, length in enumerate(lengths)]] * num


def llama(width: int, depth: int) -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=width * 8 // 3 // 64 * 64,
            num_hidden_layers=depth,
            num_attention_heads=width // 64,
            num_key_value_heads=width // 64,
            max_position_embeddings=2048,
        )
    ).eval()


if __name__ == "__main__":
    main()
