"""Each paper's protocol can be applied, one after the other, and a round could start with it."""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project
from training.algorithms.methods import method_get
from training.errors import PresetUnknown
from training.models import LoopSettings
from training.services.configs import run_config
from training.services.paper_presets import PRESETS, preset_apply
from training.services.settings import loop_settings_update

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_in_what_its_paper_fixes(name: str, project: Project, alice: User) -> None:
    loop_settings_update(
        actor=alice, project=project, overrides={"ppo": {"num_steps": 7, "kl_target": 6.0}}
    )
    settings = preset_apply(actor=alice, project=project, name=name)
    project.refresh_from_db()
    preset = PRESETS[name]
    assert settings.preset == name
    assert project.completions_per_task == preset.completions_per_task
    for method, values in preset.overrides.items():
        config = run_config(settings, method_get(method))
        assert {field: config[field] for field in values} == values
    # What a paper does not fix is the project's own.
    assert settings.overrides["ppo"]["num_steps"] == 7


def test_a_preset_leaves_nothing_of_the_one_before(project: Project, alice: User) -> None:
    preset_apply(actor=alice, project=project, name="hh")
    settings = preset_apply(actor=alice, project=project, name="instructgpt")
    assert (settings.weight_previous, settings.interval_hours) == (0.0, None)
    assert settings.overrides["ppo"]["kl_coefficient"] == 0.02
    assert settings.overrides["reward_model"]["gauge"] == "demonstrations"


def test_an_unknown_preset_changes_nothing(project: Project, alice: User) -> None:
    with pytest.raises(PresetUnknown, match="known: instructgpt, hh"):
        preset_apply(actor=alice, project=project, name="instruct")
    assert not LoopSettings.objects.filter(project=project).exclude(preset="").exists()
