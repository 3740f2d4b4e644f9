"""From policies to people: having the policy in use answer more prompts when tasks run low."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.choices import TaskStatus
from annotation.models import Project, Task
from training.choices import RUN_ACTIVE, RoundStatus, RoundStep, RunStatus
from training.models import LoopSettings, Round, Run
from training.seeds import seed_derive
from training.selectors.answer_kinds import kinds_of_answers, takes_every_prompt
from training.services.asking import sampling_plan
from training.services.checkpoints import deployment_get
from training.services.deployments import policies_live
from training.services.runs import run_create
from training.services.settings import loop_settings_ensure

PAUSE_AFTER_NO_TASK = timedelta(minutes=10)


def queue_top_up(*, project: Project) -> Run | None:
    """Has the deployed policy answer more prompts when a queue of its answers runs low.

    Waits while other answers are on their way. Safe to call at any time and twice.
    """
    settings = loop_settings_ensure(project=project)
    if not settings.queue_low_water or not project.is_active:
        return None
    if deployment_get(project.pk) is None or not _is_low(project, settings.queue_low_water):
        return None
    with transaction.atomic():
        LoopSettings.objects.select_for_update().get(pk=settings.pk)
        if _answers_coming(project) or _last_top_up_failed(project):
            return None
        number = _top_ups(project).count()
        seed = seed_derive(settings.seed, "top-up", number)
        plan = sampling_plan(
            settings=settings,
            policies=policies_live(project),
            num=2 * settings.queue_low_water,
            seed=seed,
        )
        if not plan["prompts"]:
            return None
        return run_create(settings=settings, step=RoundStep.SAMPLE, seed=seed, **plan)


def _is_low(project: Project, mark: int) -> bool:
    """Whether one of the kinds that the project collects has fewer open tasks than the mark.

    A kind that takes only some prompts may stay low whatever is answered, so it is asked only
    where there is no other.
    """
    kinds = kinds_of_answers(project)
    kinds = [kind for kind in kinds if takes_every_prompt(kind)] or kinds
    tasks = Task.objects.filter(project=project, status=TaskStatus.OPEN)
    return any(tasks.filter(kind=kind.name).count() < mark for kind in kinds)


def _top_ups(project: Project) -> QuerySet[Run]:
    return Run.objects.filter(project=project, round__isnull=True, step=RoundStep.SAMPLE)


def _answers_coming(project: Project) -> bool:
    topping_up = _top_ups(project).filter(status__in=RUN_ACTIVE)
    steps = (RoundStep.DEPLOY, RoundStep.SAMPLE, RoundStep.QUEUE)
    in_round = Round.objects.filter(project=project, status=RoundStatus.RUNNING, step__in=steps)
    return topping_up.exists() or in_round.exists()


def _last_top_up_failed(project: Project) -> bool:
    """The last one brought no task, moments ago: the next one would be no luckier."""
    last = _top_ups(project).order_by("-pk").first()
    if last is None or last.finished_at is None:
        return False
    if last.finished_at < timezone.now() - PAUSE_AFTER_NO_TASK:
        return False
    tasks = Task.objects.filter(completions__sample__run=last)
    return last.status != RunStatus.SUCCEEDED or not tasks.exists()
