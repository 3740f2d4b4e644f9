"""What a labeler gets back: their numbers, the rounds they taught, agreement with others."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from annotation.choices import Role
from annotation.models import Project
from annotation.selectors.statistics import my_statistics
from frontend.bars import bars
from frontend.decisions import Tag, TrialPicture, trial_picture
from frontend.views.project_page import project_page
from frontend.views.requests import UserRequest
from training.selectors.ai_feedback import Agreement
from training.selectors.contributions import (
    FIRST,
    HELD,
    LEARNED,
    MIN_SHARED_TASKS,
    PROMOTED,
    REJECTED,
    ROLLED_BACK,
    RUNNING,
    STOPPED,
    AgreementSeen,
    Contribution,
    contributions_get,
)
from training.selectors.decisions import Trial

TAGS: dict[str, Tag] = {
    RUNNING: Tag(_("Under way"), "alive"),
    FIRST: Tag(_("First policy"), "good"),
    LEARNED: Tag(_("Put to use"), "good"),
    PROMOTED: Tag(_("Promoted"), "good"),
    HELD: Tag(_("Held"), "alive still"),
    REJECTED: Tag(_("Turned down"), "bad"),
    ROLLED_BACK: Tag(_("Taken back"), "bad"),
    STOPPED: Tag(_("Stopped"), ""),
}


@dataclass(frozen=True, slots=True)
class AgreementRow:
    title: str | Promise
    sentence: str
    percent: int


@project_page(Role.LABELER)
@require_safe
def my_labels_page(request: UserRequest, project: Project) -> HttpResponse:
    contributions = contributions_get(request.user, project)
    statistics = my_statistics(request.user, project)
    context = {
        "project": project,
        "excluded": contributions.excluded,
        "rounds": [(item, TAGS[item.outcome], _votes(item)) for item in contributions.rounds],
        "agreement": _agreement_rows(contributions.agreement),
        "agreement_note": _agreement_note(contributions.agreement),
        "statistics": statistics,
        "bars": bars(statistics.days),
    }
    return render(request, "frontend/pages/my_labels.html", context)


def _votes(item: Contribution) -> TrialPicture | None:
    win = item.win_rate
    if win is None:
        return None
    return trial_picture(Trial(win.wins, win.num, win.share, win.low, win.high, wanted=0))


def _agreement_rows(agreement: AgreementSeen | None) -> list[AgreementRow]:
    if agreement is None:
        return []
    seen = (
        (_("Which of two answers is better"), agreement.pairs),
        (_("Thumbs and evidence marks"), agreement.marks),
        (_("Ties"), agreement.ties),
    )
    return [
        AgreementRow(title, _agreement_sentence(found), round(100 * (found.share or 0)))
        for title, found in seen
        if found is not None
    ]


def _agreement_sentence(found: Agreement) -> str:
    words = ngettext(
        "Equal in %(share)s of %(num)s case (between %(low)s and %(high)s, with 95%% confidence).",
        "Equal in %(share)s of %(num)s cases (between %(low)s and %(high)s, with 95%% confidence).",
        found.num_decisions,
    )
    return words % {
        "share": f"{found.share or 0:.0%}",
        "num": found.num_decisions,
        "low": f"{found.low or 0:.0%}",
        "high": f"{found.high or 0:.0%}",
    }


def _agreement_note(agreement: AgreementSeen | None) -> str:
    if agreement is None:
        return gettext(
            "This appears once %(num)s of the tasks that you judged were judged by others, too."
        ) % {"num": MIN_SHARED_TASKS}
    return ngettext(
        "Over the %(num)s task that you and others judged.",
        "Over the %(num)s tasks that you and others judged.",
        agreement.num_tasks,
    ) % {"num": agreement.num_tasks}
