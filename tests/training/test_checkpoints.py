"""Which checkpoint plays which part in a run."""

import pytest

from annotation.models import Project
from training.algorithms.methods import method_get
from training.choices import CheckpointKind
from training.errors import ConfigInvalid
from training.models import Checkpoint, LoopSettings, Round
from training.services.base_model import base_checkpoint_get
from training.services.checkpoints import run_inputs_resolve
from training.services.runs import run_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def round(project: Project) -> Round:
    return Round.objects.create(project=project, number=0, step="sft")


def reward_model_make(loop: LoopSettings, name: str) -> Checkpoint:
    run = run_create(
        settings=loop,
        step="reward_model",
        method=method_get("reward_model"),
        seed=1,
        parents={"init": base_checkpoint_get()},
    )
    return Checkpoint.objects.create(
        project=loop.project, run=run, kind=CheckpointKind.REWARD_MODEL, name=name, path=name
    )


def test_a_method_gets_an_optional_input_only_when_its_config_asks(
    small: LoopSettings, round: Round, silence: None
) -> None:
    reward_model_make(small, "first")
    newest = reward_model_make(small, "second")
    small.overrides = {"sft": {}}
    assert set(run_inputs_resolve(round, small, method_get("sft"), {})) == {"init"}
    small.overrides = {"sft": {"keep": "reward"}}
    assert run_inputs_resolve(round, small, method_get("sft"), {})["reward_model"] == newest


def test_asking_for_what_the_project_does_not_have_is_refused_with_the_remedy(
    small: LoopSettings, round: Round
) -> None:
    small.overrides = {"sft": {"keep": "reward"}}
    with pytest.raises(ConfigInvalid, match="needs a reward model, and this project has none yet"):
        run_inputs_resolve(round, small, method_get("sft"), {})
