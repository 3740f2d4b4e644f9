"""Stands in for `python -m training.algorithms.<method>`: the run folder contract, no torch.

STUB in the environment says how it behaves: succeed (default), refuse (also with
torchrun's exit code), crash, hang, die (by
SIGKILL, once), locked (once). STUB_METRICS gives {method: {metric: value}} as JSON, STUB_CHOSEN the
candidate an evaluation chooses.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

METHOD, FOLDER = sys.argv[1], Path(sys.argv[2])
POLICY_METHODS = {
    "ppo", "rloo", "grpo", "reinforce", "rejection_sampling", "dpo", "ipo", "kto"
}  # fmt: skip
BEHAVIOUR = os.environ.get("STUB", "succeed")


def write(name: str, document: dict) -> None:
    temporary = FOLDER / f"{name}.new"
    temporary.write_text(json.dumps(document))
    temporary.replace(FOLDER / name)


def once(name: str) -> bool:
    marker = FOLDER / f"stub-{name}"
    if marker.exists():
        return False
    marker.touch()
    return True


def supervisor_watch() -> None:
    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(143)

    threading.Thread(target=wait, daemon=True).start()


def records(name: str) -> list[dict]:
    path = FOLDER / "data" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def answers(num: int, role: str, start: int = 0) -> list[dict]:
    return [
        {
            "index": start + place * num + slot,
            "prompt_id": record["prompt_id"],
            "role": role,
            "text": f"{role} {slot}" if os.environ.get("STUB_EQUAL") != "1" else "same",
            "num_tokens": 3,
            "finished": True,
            "seed": 2**62 + slot,
        }
        for place, record in enumerate(records("prompts"))
        for slot in range(num)
    ]


def sample(config: dict) -> tuple[list[dict], dict]:
    """With a selection: the last prompts given, their first answers, one of them by chance."""
    prompts, num = records("prompts"), config["num_completions"]
    drawn = config.get("num_candidates") or num
    data: dict = {}
    first = 0
    if config.get("selection", "none") != "none":
        first = len(prompts) - min(config["num_prompts"] or len(prompts), len(prompts))
        data["asked"] = [
            {
                "prompt_id": record["prompt_id"],
                "strategy": "random" if place == first else config["selection"],
                "score": None if place == first else place / 8,
            }
            for place, record in enumerate(prompts)
            if place >= first
        ]
    samples = answers(drawn, "policy")
    for each in samples:
        place, slot = divmod(each["index"], drawn)
        if "roles" in prompts[place]:
            each["role"] = prompts[place]["roles"][slot]
    shown = [s for s in samples if s["index"] // drawn >= first and s["index"] % drawn < num]
    return shown, data


def candidates_keep(count: int) -> list[dict]:
    """Of three steps: after the first one and at the end, when more than one is asked for."""
    kept = [{"step": 3, "folder": "output"}]
    if count > 1:
        folder = FOLDER / "candidates" / "000001"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights").write_text("weights")
        kept.insert(0, {"step": 1, "folder": "candidates/000001"})
    return kept


def evaluation_data(inputs: dict) -> dict:
    """The last candidate is the best one."""
    roles = [*sorted(role for role in inputs if role.startswith("candidate_")), "policy"]
    rows = [
        {"role": role, "step": None, "test": float(place), "kl": 1.0}
        for place, role in enumerate(roles)
    ]
    chosen = os.environ.get("STUB_CHOSEN", "policy")
    return {"candidates": rows, "chosen": chosen, "best_of_n": []}


def succeed() -> None:
    run = json.loads((FOLDER / "run.json").read_text())
    samples: list[dict] = []
    metrics = {f"{METHOD}/loss": 0.5}
    data: dict = {}
    if METHOD == "sample":
        samples, data = sample(run["config"])
    elif METHOD == "evaluate":
        samples = answers(1, os.environ.get("STUB_CHOSEN", "policy"))
        samples += answers(1, "reference", start=len(samples))
        metrics = {"evaluate/pair_accuracy": 0.75, "evaluate/num_pairs": 40.0}
        data = evaluation_data(run["inputs"])
    else:
        (FOLDER / "output").mkdir(exist_ok=True)
        (FOLDER / "output" / "weights").write_text("weights")
        if METHOD in POLICY_METHODS:
            data = {"candidates": candidates_keep(run["config"].get("num_candidates", 1))}
    metrics |= json.loads(os.environ.get("STUB_METRICS", "{}")).get(METHOD, {})
    if samples:
        (FOLDER / "samples.jsonl").write_text("".join(json.dumps(s) + "\n" for s in samples))
    lines = [{"step": step, "metrics": {"stub/value": step / 2}} for step in range(3)]
    (FOLDER / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write("progress.json", {"done": 3, "total": 3, "message": "done"})
    write("result.json", {"metrics": metrics, "data": data})


def main() -> int:
    if os.environ.get("PREFERENDUM_SUPERVISED") == "1":
        supervisor_watch()
    (FOLDER / "pid").write_text(str(os.getpid()))
    if BEHAVIOUR in ("refuse", "refuse_under_torchrun"):
        write("error.json", {"code": "data_too_small", "message": "3 of 8.", "extra": {}})
        return 3 if BEHAVIOUR == "refuse" else 1
    if BEHAVIOUR == "crash":
        raise ZeroDivisionError("the stub was told to crash")
    if BEHAVIOUR == "hang":
        signal.signal(signal.SIGTERM, lambda *args: sys.exit(143))
        write("progress.json", {"done": 1, "total": 3, "message": "hanging"})
        time.sleep(600)
    if BEHAVIOUR == "die" and once("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    if BEHAVIOUR == "locked" and once("locked"):
        return 4
    succeed()
    return 0


sys.exit(main())
