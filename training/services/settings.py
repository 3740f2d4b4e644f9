import dataclasses
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.errors import InvalidInput
from annotation.models import Project
from annotation.services.audit import audit_record
from training.algorithms.configs import ConfigError, config_resolve
from training.algorithms.methods import Method, method_list
from training.choices import RewardModelUse
from training.errors import ConfigInvalid, MethodUnknown
from training.gates import Gates
from training.models import LoopSettings, Round, Run
from training.selectors.answer_kinds import preference_kind_names, trial_kind
from training.services.configs import method_find, policy_method_list, run_config
from training.strategies import strategy_get, strategy_list
from training.strategies.base import NO_SELECTION


def loop_settings_ensure(*, project: Project) -> LoopSettings:
    """The project's stored settings, made with the defaults on first use."""
    settings, _ = LoopSettings.objects.select_related("project").get_or_create(project=project)
    return settings


def settings_freeze(settings: LoopSettings) -> dict[str, Any]:
    """Every setting as a round keeps it: plain values that outlive the row."""
    return {field.name: getattr(settings, field.name) for field in _fields()}


def round_settings(round: Round) -> LoopSettings:
    """The settings the round started with, unsaved; the project's for a round that kept none."""
    current = loop_settings_ensure(project=round.project)
    if not round.settings:
        return current
    known = {field.name for field in _fields()}
    frozen = {name: value for name, value in round.settings.items() if name in known}
    return LoopSettings(pk=current.pk, project=round.project, **frozen)


def run_settings(run: Run) -> LoopSettings:
    """The settings a run works by: its round's, or the project's as they are now."""
    return round_settings(run.round) if run.round else loop_settings_ensure(project=run.project)


def gates_resolve(settings: LoopSettings) -> Gates:
    """Raises ConfigInvalid."""
    try:
        return config_resolve(Gates, settings.gates)
    except ConfigError as error:
        raise ConfigInvalid(f"gates: {error.message}", **error.extra) from None


def _fields() -> list[Any]:
    skipped = ("id", "created_at", "project")
    return [f for f in LoopSettings._meta.concrete_fields if f.name not in skipped]


@transaction.atomic
def loop_settings_update(*, actor: User | None, project: Project, **fields: Any) -> LoopSettings:
    """Changes the loop from the next round on; a running one keeps its resolved config.

    Raises InvalidInput, MethodUnknown, StrategyUnknown or ConfigInvalid, and then changes nothing.
    """
    settings = loop_settings_ensure(project=project)
    for name, value in fields.items():
        setattr(settings, name, value)
    try:
        settings.full_clean()
    except ValidationError as error:
        raise InvalidInput("The loop settings are not valid.", fields=error.message_dict) from None
    _validate(settings)
    settings.save(update_fields=list(fields))
    audit_record(
        actor=actor, verb="loop:updated", target=settings, project=project, fields=sorted(fields)
    )
    return settings


def _validate(settings: LoopSettings) -> None:
    for name in ("overrides", "sampling", "gates"):
        if not isinstance(getattr(settings, name), dict):
            raise InvalidInput(f"{name} must be an object.", field=name)
    _strategy_validate(settings)
    method = method_find(settings.policy_method)
    if method not in policy_method_list():
        known = ", ".join(item.name for item in policy_method_list())
        raise MethodUnknown(
            f"{method.name!r} does not make a policy; choose one of: {known}.", value=method.name
        )
    run_config(settings, method)
    _reward_model_validate(settings, method)
    _trial_validate(settings, method)
    gates_resolve(settings)
    _sampling_validate(settings)
    for name, values in settings.overrides.items():
        if not isinstance(values, dict):
            raise InvalidInput(f"overrides[{name!r}] must be an object.", field="overrides")
        run_config(settings, method_find(name))


def _reward_model_validate(settings: LoopSettings, method: Method) -> None:
    if settings.reward_model == RewardModelUse.NONE and "reward_model" in method.inputs:
        able = ", ".join(m.name for m in policy_method_list() if "reward_model" not in m.inputs)
        raise ConfigInvalid(
            f"reward_model = {settings.reward_model!r}: {method.name} learns from a reward model. "
            f"Choose a policy_method that does without ({able}), or another reward_model.",
            field="reward_model",
            value=settings.reward_model,
            expectation=f"scratch or warm with {method.name}",
        )


def _strategy_validate(settings: LoopSettings) -> None:
    if strategy_get(settings.strategy).selection == NO_SELECTION:
        return
    if settings.reward_model == RewardModelUse.NONE:
        able = ", ".join(each.name for each in strategy_list() if each.selection == NO_SELECTION)
        raise ConfigInvalid(
            f"strategy = {settings.strategy!r} asks what the reward model scores, and this project "
            f"trains none. Choose {able}, or another reward_model.",
            field="strategy",
            value=settings.strategy,
            expectation=f"one of {able} with reward_model = none",
        )


def _trial_validate(settings: LoopSettings, method: Method) -> None:
    """A trial compares a new policy with the one in use, by tasks that show answers of both."""
    if settings.trial_votes == 0:
        return
    missing = None
    if trial_kind(settings.project) is None:
        missing = (
            f"judgements that order answers ({', '.join(preference_kind_names())}), and this "
            "project collects none"
        )
    elif method.stage != "policy":
        missing = f"a new policy, and {method.name} trains none"
    if missing:
        raise ConfigInvalid(
            f"trial_votes = {settings.trial_votes}: a trial needs {missing}. Set it to 0.",
            field="trial_votes",
            value=settings.trial_votes,
            expectation="0",
        )


def _sampling_validate(settings: LoopSettings) -> None:
    """Every sampling setting must mean something to the method that samples for ranking."""
    for method in method_list("sample"):
        fields = {field.name for field in dataclasses.fields(method.config)}
        if unknown := sorted(settings.sampling.keys() - fields):
            raise ConfigInvalid(
                f"sampling: {unknown[0]!r} is no field of {method.name}; known: "
                f"{', '.join(sorted(fields))}.",
                field=unknown[0],
                value=settings.sampling[unknown[0]],
                expectation="a field of the sampling method",
            )
        run_config(settings, method)
