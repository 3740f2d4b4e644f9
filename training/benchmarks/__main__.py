"""Times the engine beside TRL: `python -m training.benchmarks [TASK ...]`; see docs/benchmarks.md.

Runs alternate, ours and TRL, each in a process of its own. A side that fails is recorded with its
reason and not tried again for that task.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.benchmarks import prepare
from training.benchmarks.measure import result_parse
from training.benchmarks.side import Spec
from training.benchmarks.summary import rate, table, task_summary
from training.benchmarks.tasks import Task, tasks_pick

ROOT = Path(__file__).parents[2]
SIDES = ("ours", "trl")


def main() -> None:
    options = _options()
    tasks = [task.smoke() if options.smoke else task for task in tasks_pick(options.tasks)]
    started = time.monotonic()
    options.work.mkdir(parents=True, exist_ok=True)
    gflops = [matmul_rate(options.threads)]
    raw: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number, task in enumerate(tasks, start=1):
        print(f"[{number}/{len(tasks)}] {task.name}", flush=True)
        raw[task.name] = task_measure(task, options)
        gflops.append(matmul_rate(options.threads))
        minutes = (time.monotonic() - started) / 60
        text = results_write(tasks[:number], raw, gflops, minutes, options)
    print(text)


def results_write(
    tasks: Sequence[Task],
    raw: dict[str, dict[str, list[dict[str, Any]]]],
    gflops: list[float],
    minutes: float,
    options: argparse.Namespace,
) -> str:
    """Writes the table and the raw numbers of the tasks done so far; returns the page."""
    best = max(gflops)
    about = about_machine(options) | {
        "matmul_gflops": best,
        "matmul_gflops_all": gflops,
        "minutes": minutes,
    }
    summaries = {task.name: task_summary(task, raw[task.name], best) for task in tasks}
    document = {"about": about, "summaries": summaries, "runs": raw}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    text = page(about, table(summaries))
    options.out.write_text(text, encoding="utf-8")
    return text


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.benchmarks", description=__doc__)
    parser.add_argument("tasks", nargs="*", help="names from tasks.py; none means all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--smoke", action="store_true", help="two steps a run, to see that it runs")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--trl-batch", type=int, default=0, help="instead of the task's own")
    parser.add_argument("--timeout-seconds", type=float, default=300)
    parser.add_argument("--work", type=Path, default=ROOT / "var" / "bench")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "bench.md")
    return parser.parse_args()


def task_measure(task: Task, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """The raw runs of each side, in the order ours, TRL, ours, TRL, ..."""
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in options.sides}
    try:
        spec = spec_prepare(task, options)
    except (OSError, subprocess.CalledProcessError) as error:
        return {side: [{"failed": f"preparing: {error}"}] for side in options.sides}
    for repeat in range(options.repeats):
        for side in options.sides:
            if any("failed" in run for run in runs[side]):
                continue
            start = time.monotonic()
            run = side_run(side, task, spec | {"seed": repeat + 1}, options)
            runs[side].append(run)
            told = run.get("failed") or f"{rate(run):,.1f} {task.unit}/s {run.get('quality', '')}"
            print(f"  {side} {repeat + 1}: {told} ({time.monotonic() - start:.0f} s)", flush=True)
    return runs


def spec_prepare(task: Task, options: argparse.Namespace) -> dict[str, Any]:
    """The specification without seed and scratch folder; makes the models it names."""
    work, threads = options.work, options.threads
    needs_policy = task.start == "policy"
    if needs_policy:
        model = prepare.policy(task.model, work, threads)
    else:
        model = prepare.random_model(task.model, work)
    scored = task.trainer in ("rloo", "grpo", "ppo")
    scorer = prepare.reward_model(task.model, work, threads) if scored else None
    return {
        "task": task.name,
        "smoke": options.smoke,
        "data": str(prepare.data_prepare(task, work).absolute()),
        "model": str(model.absolute()),
        "reward_model": str(scorer.absolute()) if scorer else "",
        "threads": threads,
        "precision": options.precision,
        "trl_batch": options.trl_batch,
    }


def side_run(
    side: str, task: Task, spec: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """What one process measured, or {"failed": reason}."""
    python, module = sys.executable, "training.benchmarks.ours"
    if side == "trl":
        python = str(ROOT / f".venv-{task.environment}" / "bin" / "python")
        module = "training.benchmarks.trl_side"
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=options.work)).absolute()
    try:
        (scratch / "files").mkdir()
        path = scratch / "spec.json"
        spec_made = Spec(**spec, scratch=str(scratch / "files"))
        path.write_text(json.dumps(asdict(spec_made)), encoding="utf-8")
        completed = subprocess.run(
            [python, "-m", module, str(path)],
            cwd=ROOT,
            env=environment(spec["threads"]),
            capture_output=True,
            text=True,
            timeout=options.timeout_seconds,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {options.timeout_seconds:.0f} s"}
    except OSError as error:
        return {"failed": f"{python}: {error.strerror}"}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    result = result_parse(completed.stdout)
    if completed.returncode == 0 and result is not None:
        return result
    lines = completed.stderr.strip().splitlines()
    return {
        "failed": f"exit code {completed.returncode}: {lines[-1] if lines else 'no message'}",
        "stderr": "\n".join(lines[-40:]),
    }


def environment(threads: int) -> dict[str, str]:
    """The caller's, with the number of threads. The rest of the thread settings is each side's."""
    return os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def matmul_rate(threads: int) -> float:
    """Billions of operations per second."""
    command = [sys.executable, "-m", "training.benchmarks.matmul", str(threads)]
    completed = subprocess.run(
        command, cwd=ROOT, env=environment(threads), capture_output=True, text=True, check=True
    )
    result = result_parse(completed.stdout)
    assert result is not None
    return float(result["gflops"])


def about_machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {"ours": version_list(sys.executable)}
    for name in ("trl", "trl-ppo"):
        versions[name] = version_list(str(ROOT / f".venv-{name}/bin/python"))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit.stdout.strip(),
        "processor": processor(),
        "threads": options.threads,
        "precision": options.precision,
        "repeats": options.repeats,
        "smoke": options.smoke,
        "versions": versions,
    }


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def version_list(python: str) -> dict[str, str]:
    """Versions of what matters in an environment."""
    code = (
        "import importlib.metadata as m, json\n"
        "names = [d.metadata['Name'].lower() for d in m.distributions()]\n"
        "wanted = ('torch', 'transformers', 'trl', 'accelerate')\n"
        "print(json.dumps({n: m.version(n) for n in wanted if n in names}))"
    )
    try:
        completed = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    return dict(json.loads(completed.stdout))


def page(about: dict[str, Any], tables: str) -> str:
    """docs/results/bench.md."""
    versions = about["versions"]
    told = "; ".join(
        f"{name}: {', '.join(f'{package} {number}' for package, number in versions[name].items())}"
        for name in versions
    )
    smoke = "**Smoke run: two steps each, the numbers mean nothing.**\n\n" if about["smoke"] else ""
    return (
        "# The engine beside TRL\n\n"
        f"{smoke}Written by `make bench`; what is measured and how is in "
        "[benchmarks.md](../benchmarks.md), every raw number in [bench.json](bench.json).\n\n"
        f"{about['date']}, commit {about['commit']}, {about['processor']}, {about['threads']} "
        f"threads, {about['precision']}, {about['repeats']} repeats, {about['minutes']:.0f} "
        f"minutes. Matrix-multiply rate: {about['matmul_gflops']:.0f} GFLOP/s.\n\n"
        f"{told}.\n\n"
        "Medians (smallest to largest). Peak MiB is the process's memory while training, in "
        "brackets what training added to the loaded model.\n\n" + tables
    )


if __name__ == "__main__":
    main()
