"""The machine's rate of fp32 matrix products: `python -m training.benchmarks.matmul THREADS`."""

import statistics
import sys
import time

from training.benchmarks.measure import result_print

SIZE = 1024
BLOCKS, REPEATS = 7, 10


def main() -> None:
    import torch

    torch.set_num_threads(int(sys.argv[1]))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, right = torch.randn(SIZE, SIZE, device=device), torch.randn(SIZE, SIZE, device=device)
    out = torch.empty(SIZE, SIZE, device=device)
    rates = []
    for _ in range(BLOCKS):
        start = time.perf_counter()
        for _ in range(REPEATS):
            torch.mm(left, right, out=out)
        if device == "cuda":
            torch.cuda.synchronize()
        rates.append(REPEATS * 2 * SIZE**3 / (time.perf_counter() - start))
    result_print({"gflops": statistics.median(rates[1:]) / 1e9, "device": device})


if __name__ == "__main__":
    main()
