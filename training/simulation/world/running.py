"""Many worlds: several at a time, each result kept, so that a stopped command goes on."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from training.simulation.forking import fork_server
from training.simulation.labelers import Report
from training.simulation.world.base_model import base_model_ensure
from training.simulation.world.installation import (
    WorldProcessFailed,
    database_ensure,
    world_process,
)
from training.simulation.world.plan import Plan

Results = dict[str, dict[int, dict[str, Any]]]
"""{arm: {seed: result}}"""


def cache_folder() -> Path:
    return Path(django_settings.PREFERENDUM_DATA_DIR) / "simulation"


def worlds_run(
    arms: Mapping[str, Plan],
    seeds: Sequence[int],
    *,
    jobs: int,
    report: Report = lambda done, total, message: None,
) -> Results:
    """The result of every arm for every seed; those that are kept from before are not done again.

    Seeds come one after the other, so that what is finished is paired. One world's failure does not
    stop the others; raises WorldProcessFailed in the end.
    """
    cache = cache_folder()
    (cache / "results").mkdir(parents=True, exist_ok=True)
    plans = {(name, seed): plan.for_seed(seed) for seed in seeds for name, plan in arms.items()}
    missing = [key for key, plan in plans.items() if not _path(cache, plan).exists()]
    if missing:
        _missing_run(cache, plans, missing, jobs, report)
    results: Results = {name: {} for name in arms}
    for (name, seed), plan in plans.items():
        results[name][seed] = json.loads(_path(cache, plan).read_text())
    return results


def _missing_run(
    cache: Path,
    plans: Mapping[tuple[str, int], Plan],
    missing: Sequence[tuple[str, int]],
    jobs: int,
    report: Report,
) -> None:
    report(0, len(missing), "preparing")
    database = database_ensure(cache)
    models = {
        plan.language: base_model_ensure(plan.language, cache)
        for plan in (plans[key] for key in missing)
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        fork_server(Path(folder)) as launcher,
        ThreadPoolExecutor(jobs) as pool,
    ):
        waiting = {
            pool.submit(
                world_process,
                plans[key],
                database=database,
                base_model=models[plans[key].language],
                launcher=launcher,
            ): key
            for key in missing
        }
        failures: list[WorldProcessFailed] = []
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                name, seed = waiting[future]
                try:
                    _keep(_path(cache, plans[name, seed]), future.result())
                except WorldProcessFailed as error:
                    failures.append(error)
                report(done, len(missing), f"worlds, last: {name}, seed {seed}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failures:
        raise WorldProcessFailed(f"{len(failures)} of {len(missing)} worlds failed. {failures[0]}")


def _keep(path: Path, result: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(result))
    temporary.rename(path)


def _path(cache: Path, plan: Plan) -> Path:
    return cache / "results" / f"{plan.key}.json"
