from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotation.choices import Role
from annotation.judgements import kind_get
from annotation.models import Project
from annotation.selectors.access import role_of
from annotation.selectors.progress import project_progress
from frontend.charts import Chart, Series, chart
from frontend.decisions import decision_tag, trial_picture
from frontend.ring import ring
from frontend.views.project_page import project_page, render_project
from frontend.views.requests import UserRequest
from training.choices import RUN_ACTIVE, RunStatus
from training.selectors.deployments import deployments_get
from training.selectors.loop import loop_status
from training.selectors.rounds import Headline, RoundSummary, round_list
from training.selectors.runs import run_list

NUM_ROUNDS = 20
NUM_FAILURES = 3


@project_page(Role.REVIEWER)
@require_safe
def dashboard_page(request: UserRequest, project: Project) -> HttpResponse:
    context = _context(request, project)
    return render_project(request, project, "frontend/pages/dashboard.html", context, "project")


@project_page(Role.REVIEWER)
@require_safe
def dashboard_live(request: UserRequest, project: Project) -> HttpResponse:
    """The moving parts of the dashboard alone; the page asks for them every two seconds."""
    context = _context(request, project)
    return render(request, "frontend/partials/dashboard_live.html", context)


def _context(request: UserRequest, project: Project) -> dict[str, Any]:
    status = loop_status(project)
    rounds = round_list(project)
    runs = run_list(project)
    progress = project_progress(project)
    current = status.current
    return {
        "project": project,
        "may_manage": role_of(request.user, project) == Role.ADMIN,
        "status": status,
        "trial": trial_picture(current.trial) if current else None,
        "deployments": deployments_get(project),
        "arcs": ring(status),
        "progress": progress,
        "collected": _collected(progress),
        "rounds": [(item, decision_tag(item)) for item in rounds[:NUM_ROUNDS]],
        "charts": trend_charts(rounds),
        "active_runs": list(runs.filter(status__in=RUN_ACTIVE)),
        "failures": _failures(status.last, list(runs.filter(status=RunStatus.FAILED)[:3])),
    }


def _collected(progress: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each kind: how many judgements there are, and how many tasks wait."""
    judged, waiting = progress["judgements"], progress["open_tasks"]
    return [
        {
            "title": kind_get(kind).title,
            "judged": judged.get(kind, 0),
            "waiting": waiting.get(kind, 0),
        }
        for kind in dict.fromkeys([*judged, *waiting])
    ]


def _failures(last: RoundSummary | None, runs: list[Any]) -> list[dict[str, Any]]:
    """Failed runs, and a failed latest round that has no failed run to tell of."""
    failures = [
        {"title": _run_title(run), "run": run, "code": run.error_code}
        | {"text": run.error_text, "at": run.finished_at}
        for run in runs[:NUM_FAILURES]
    ]
    told = {run.round_id for run in runs}
    if last and last.status == "failed" and last.id not in told:
        entry = {
            "title": _("Round %(number)s") % {"number": last.number},
            "run": None,
            "round": last,
            "at": last.finished_at,
        }
        failures.insert(0, entry | {"code": last.error_code, "text": last.error_text})
    return failures


def _run_title(run: Any) -> str:
    return _("Run %(id)s: %(step)s") % {"id": run.pk, "step": _(run.get_step_display())}


def trend_charts(rounds: list[RoundSummary]) -> list[Chart]:
    """Oldest round on the left; only rounds that measured something. Intervals are 95 %."""
    measured = [item for item in reversed(rounds[:NUM_ROUNDS]) if item.headline]
    labels = [str(item.number) for item in measured]
    heads = [item.headline for item in measured if item.headline]

    def line(name: str, field: str, low: str = "", high: str = "") -> Series:
        return Series(name, _values(heads, field), _values(heads, low), _values(heads, high))

    charts = [
        chart(
            _("Reward model: pair accuracy"),
            labels,
            [line(_("Accuracy"), "pair_accuracy", "pair_accuracy_low", "pair_accuracy_high")],
            reference=0.5,
            reference_name=_("chance"),
        ),
        chart(
            _("Gain over SFT"),
            labels,
            [
                _with_error(_("Test"), heads, "test_gain"),
                _with_error(_("Proxy"), heads, "reward_gain"),
            ],
            reference=0.0,
            reference_name="SFT",
        ),
        chart(_("KL to SFT, nats"), labels, [line("KL", "kl_to_reference")]),
        chart(
            _("Mean length, tokens"),
            labels,
            [line(_("Policy"), "length_policy"), line("SFT", "length_reference")],
        ),
    ]
    return [item for item in charts if item is not None]


def _with_error(name: str, heads: list[Headline], field: str) -> Series:
    pairs = list(zip(_values(heads, field), _values(heads, f"{field}_error"), strict=True))
    low, high = (
        [None if mean is None or error is None else mean + z * error for mean, error in pairs]
        for z in (-1.96, 1.96)
    )
    return Series(name, _values(heads, field), low, high)


def _values(heads: list[Headline], field: str) -> list[float | None]:
    return [getattr(head, field) for head in heads] if field else []
