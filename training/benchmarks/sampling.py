"""How fast is our sampler against transformers' `model.generate` on the same prompts?

    python -m training.benchmarks.sampling [--model small|medium] [--case equal|ragged|shared] ...

Both sides sample from the whole softmax at temperature 1, the same number of prompts in batches of
the same size, sorted by length. Their random draws differ, so tokens per second are compared.
Runs alternate, so that a change of the machine's load meets both; `--threads 1 --clock cpu` counts
the processor's seconds, which other programs distort less. The models are random: weights do not
matter to speed. The EOS logit is a bias, which makes the completion lengths what the case
asks for: `equal`, EOS impossible; `ragged`, EOS has probability 3 / max_new_tokens a step, lengths
geometric with a mean of a third of the maximum (cut off at it); `shared`, ragged, and every prompt
is asked 4 times in a row.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils import logging as transformers_logging

from training.algorithms.sampling.generation import generate, left_pad

EOS, PAD = 1, 0
SIZES = {"small": (256, 2, 1911), "medium": (640, 5, 1911), "wide": (256, 2, 32000)}
CASES = ("equal", "ragged", "shared")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def model_make(size: str, eos_probability: float, seed: int) -> Any:
    """A random Llama that ends its completions with about the given probability a step."""
    hidden_size, num_layers, vocab_size = SIZES[size]
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=4 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=hidden_size // 64,
        num_key_value_heads=hidden_size // 64,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config).eval()
    head = torch.nn.Linear(hidden_size, vocab_size)
    with torch.no_grad():
        # Other logits are about 0, so that they weigh vocab_size together.
        head.weight.normal_(std=0.02)
        head.bias.zero_()
        head.weight[EOS] = 0
        odds = eos_probability / (1 - eos_probability)
        head.bias[EOS] = math.log(odds * vocab_size) if odds > 0 else -1e9
    model.lm_head = head
    return model


def prompts_make(size: str, case: str, num_prompts: int, seed: int) -> list[list[int]]:
    """num_prompts prompts of 8 to 40 tokens, sorted by length."""
    generator = torch.Generator().manual_seed(seed)
    copies = 4 if case == "shared" else 1
    vocab_size = SIZES[size][2]
    prompts = []
    for _ in range(num_prompts // copies):
        length = int(torch.randint(8, 41, (1,), generator=generator))
        ids = torch.randint(2, vocab_size, (length,), generator=generator).tolist()
        prompts.append(ids)
    prompts.sort(key=len)
    return [prompt for prompt in prompts for _ in range(copies)]


def ours(model: Any, prompts: list[list[int]], rows: int, max_new_tokens: int, seed: int) -> int:
    """Tokens sampled by training.algorithms.sampling.generation."""
    completions = generate(
        model,
        prompts,
        [seed * 1_000_003 + row for row in range(len(prompts))],
        eos_id=EOS,
        pad_id=PAD,
        temperature=1.0,
        max_new_tokens=max_new_tokens,
        batch_rows=rows,
    )
    return sum(len(completion.token_ids) for completion in completions)


def theirs(model: Any, prompts: list[list[int]], rows: int, max_new_tokens: int, seed: int) -> int:
    """Tokens sampled by transformers, a static batch at a time; EOS counts, pads do not."""
    torch.manual_seed(seed)
    num_tokens = 0
    for start in range(0, len(prompts), rows):
        ids, mask = left_pad(prompts[start : start + rows], PAD)
        output = model.generate(
            input_ids=ids,
            attention_mask=mask.long(),
            do_sample=True,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
            max_new_tokens=max_new_tokens,
        )
        ended = (output[:, ids.shape[1] :] == EOS).long().cumsum(-1)
        # A token counts until EOS was seen before it.
        num_tokens += int(((ended - (output[:, ids.shape[1] :] == EOS).long()) == 0).sum())
    return num_tokens


def speed(clock: Callable[[], float], sample: Callable[..., int], *arguments: Any) -> float:
    """Tokens per second of one call."""
    started = clock()
    num_tokens = sample(*arguments)
    return num_tokens / (clock() - started)


def quartiles(values: list[float]) -> str:
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{statistics.median(values):.0f} ({low:.0f} to {high:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--model", choices=list(SIZES), default="small")
    parser.add_argument("--case", choices=CASES, default="equal")
    parser.add_argument("--num-prompts", type=int, default=128)
    parser.add_argument("--rows", type=int, default=32, help="completions sampled together")
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--runs", type=int, default=5, help="of each side, after one to warm up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: all threads")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    transformers_logging.set_verbosity_error()
    eos_probability = 0.0 if options.case == "equal" else 3 / options.max_new_tokens
    model = model_make(options.model, eos_probability, options.seed)
    prompts = prompts_make(options.model, options.case, options.num_prompts, options.seed)
    speeds: dict[str, list[float]] = {"ours": [], "transformers": []}
    for run in range(options.runs + 1):
        for name, sample in (("ours", ours), ("transformers", theirs)):
            arguments = (model, prompts, options.rows, options.max_new_tokens, run)
            measured = speed(CLOCKS[options.clock], sample, *arguments)
            if run > 0:
                speeds[name].append(measured)
    ratios = [a / b for a, b in zip(speeds["ours"], speeds["transformers"], strict=True)]
    print(vars(options))
    print(f"completion tokens per {options.clock} second, median (quartiles):")
    for name, values in speeds.items():
        print(f"  {name:13} {quartiles(values)}")
    print(
        f"  ratio         {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
