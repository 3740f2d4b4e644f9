"""The registry and hyperparameters, torch-free and Django-free."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from training.algorithms.configs import ConfigError, config_resolve, option, option_help
from training.algorithms.methods import UnknownMethod, method_get, method_list
from training.algorithms.ppo import PPOConfig
from training.algorithms.run_dir import RunDir

ROOT = Path(RunDir.__init__.__code__.co_filename).parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class _Config:
    size: int = option(3, "How many.")
    rate: float = option(0.5, "How fast.")
    is_loud: bool = option(False, "How loud.")
    target: float | None = option(6.0, "Where to.")


def test_overrides_apply_and_ints_serve_as_floats():
    config = config_resolve(_Config, {"rate": 2, "target": None, "is_loud": True})
    assert config == _Config(size=3, rate=2.0, is_loud=True, target=None)
    assert isinstance(config.rate, float)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 2.5),
        ("size", True),
        ("size", "3"),
        ("size", None),
        ("rate", "fast"),
        ("rate", float("nan")),
        ("is_loud", 1),
        ("target", "six"),
        ("sise", 3),
    ],
)
def test_unknown_fields_and_wrong_types_are_refused(field, value):
    with pytest.raises(ConfigError) as caught:
        config_resolve(_Config, {field: value})
    assert caught.value.extra["field"] == field
    assert caught.value.code == "config_invalid"


@pytest.mark.parametrize(
    ("field", "value"),
    [("lam", 1.5), ("num_steps", 0), ("missing_eos", "ignore"), ("minibatch_size", 65)],
)
def test_ppo_refuses_impossible_values(field, value):
    with pytest.raises(ConfigError, match=field):
        config_resolve(PPOConfig, {field: value})


def test_the_registry_finds_every_package():
    names = {method.name for method in method_list()}
    assert names >= {"sft", "reward_model", "ppo", "sample", "evaluate"}
    assert method_get("ppo").inputs == ("reference", "reward_model")
    assert {"ppo", "dpo", "ipo", "kto"} <= {method.name for method in method_list(stage="policy")}
    with pytest.raises(UnknownMethod, match=r"known: .*sft"):
        method_get("dpo2")


def test_defaults_are_valid_and_every_field_has_help():
    for method in method_list():
        config_resolve(method.config, {})
        for name, text in option_help(method.config).items():
            assert text, f"{method.name}.{name} has no help"


def _fresh_python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


def test_the_registry_loads_no_torch():
    _fresh_python(
        "import sys; from training.algorithms.methods import method_list; "
        "import training.algorithms.run_dir, training.algorithms.entry; "
        "assert len(method_list()) >= 5; "
        "bad = {'torch', 'transformers', 'tokenizers', 'django'} & set(sys.modules); "
        "assert not bad, bad"
    )


def test_the_algorithms_load_no_django():
    _fresh_python(
        "import sys, pkgutil, importlib, training.algorithms as package\n"
        "for module in pkgutil.walk_packages(package.__path__, 'training.algorithms.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "assert 'training.algorithms.ppo.loop' in sys.modules\n"
        "bad = [name for name in sys.modules if name.split('.')[0] in\n"
        "       {'django', 'rest_framework', 'celery', 'annotation', 'frontend', 'config'}]\n"
        "assert not bad, bad"
    )
