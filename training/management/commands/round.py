from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from annotation.errors import DomainError
from annotation.models import Project
from training.choices import RoundStep
from training.models import Round
from training.selectors.deployments import deployments_get
from training.selectors.loop import loop_status
from training.selectors.rounds import round_summary
from training.services.decisions import round_approve, round_reject
from training.services.deployments import deployment_rollback
from training.services.round_control import round_cancel, round_pause, round_resume, round_retry
from training.services.round_starting import round_start


class Command(BaseCommand):
    help = "Starts, shows, steers and judges a project's latest round, or takes its policy back."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=[*ACTIONS])
        parser.add_argument("--project", required=True, help="Slug of the project.")
        parser.add_argument(
            "--step", choices=RoundStep.values, default="", help="retry: from this step on."
        )
        parser.add_argument("--note", default="", help="approve, reject, rollback: why.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        try:
            sentences = ACTIONS[options["action"]](project, options["step"], options["note"])
        except DomainError as error:
            raise CommandError(f"{error.message} ({error.code})") from None
        self.stdout.write(sentences)


def _start(project: Project, step: str, note: str) -> str:
    return f"Round {round_start(project=project).number} has started."


def _status(project: Project, step: str, note: str) -> str:
    status = loop_status(project)
    lines = [status.sentence]
    if last := status.last:
        title = last.decision_title or last.status.capitalize()
        lines.append(f"Round {last.number}: {title}. {last.sentence}")
        lines += [f"  {gate.status}: {gate.title}. {gate.sentence}" for gate in last.gates]
    lines += [
        f"{item.title}: {item.checkpoint_name}, {item.share:.0%} of the answers."
        for item in deployments_get(project).live
    ]
    return "\n".join(lines)


def _pause(project: Project, step: str, note: str) -> str:
    paused = round_pause(round=_latest(project))
    return f"Round {paused.number} is paused. Its run saves its state and waits."


def _resume(project: Project, step: str, note: str) -> str:
    return f"Round {round_resume(round=_latest(project)).number} goes on."


def _cancel(project: Project, step: str, note: str) -> str:
    return f"Round {round_cancel(round=_latest(project)).number} is cancelled. Labels are kept."


def _retry(project: Project, step: str, note: str) -> str:
    retried = round_retry(round=_latest(project), step=step)
    return f"Round {retried.number} goes on: {round_summary(retried).step_title}."


def _approve(project: Project, step: str, note: str) -> str:
    return _decided(round_approve(round=_latest(project), actor=None, note=note))


def _reject(project: Project, step: str, note: str) -> str:
    return _decided(round_reject(round=_latest(project), actor=None, note=note))


def _rollback(project: Project, step: str, note: str) -> str:
    deployed = deployment_rollback(project=project, actor=None, reason=note)
    return f"{deployed.checkpoint.name} is in use again."


def _decided(round: Round) -> str:
    return f"Round {round.number}: {round_summary(round).sentence}"


def _latest(project: Project) -> Round:
    found = Round.objects.filter(project=project).order_by("-number").first()
    if found is None:
        raise CommandError(f"{project.slug} has no round yet.")
    return found


ACTIONS: dict[str, Callable[[Project, str, str], str]] = {
    "start": _start,
    "status": _status,
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "retry": _retry,
    "approve": _approve,
    "reject": _reject,
    "rollback": _rollback,
}
