import dataclasses
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from annotation.errors import InvalidInput
from annotation.models import Project
from annotation.services.audit import audit_record
from training.algorithms.methods import method_list
from training.errors import ConfigInvalid, MethodUnknown
from training.models import LoopSettings
from training.services.configs import method_find, run_config
from training.strategies import strategy_get


def loop_settings_ensure(*, project: Project) -> LoopSettings:
    """The project's stored settings, made with the defaults on first use."""
    settings, _ = LoopSettings.objects.select_related("project").get_or_create(project=project)
    return settings


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
    for name in ("overrides", "sampling"):
        if not isinstance(getattr(settings, name), dict):
            raise InvalidInput(f"{name} must be an object.", field=name)
    strategy_get(settings.strategy)
    method = method_find(settings.policy_method)
    if method.stage != "policy":
        known = ", ".join(item.name for item in method_list("policy"))
        raise MethodUnknown(
            f"{method.name!r} does not train a policy; choose one of: {known}.", value=method.name
        )
    _sampling_validate(settings)
    for name, values in settings.overrides.items():
        if not isinstance(values, dict):
            raise InvalidInput(f"overrides[{name!r}] must be an object.", field="overrides")
        run_config(settings, method_find(name))


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
