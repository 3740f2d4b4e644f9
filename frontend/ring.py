"""The loop as a ring of arcs: one arc for each step, drawn with dashes of one circle."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from training.choices import RoundStep
from training.selectors.loop import LoopStatus
from training.selectors.rounds import StepState

# Of 100 units around the circle; the gap keeps neighboring arcs apart.
GAP = 2.2
COLLECT = "collect"
NOTES = {"queued": _("waits for a worker"), "waiting_for_people": _("waits for people")}


@dataclass(frozen=True, slots=True)
class Arc:
    """`state` is done, alive, paused, waiting or bad; `filled` units of the `length` are drawn."""

    name: str
    title: str
    state: str
    note: str
    run_id: int | None
    rotation: float
    length: float
    filled: float


def ring(status: LoopStatus) -> list[Arc]:
    """Collecting first, then the steps of the round under way (or of the next one)."""
    shown = status.current or status.last
    stopped = shown is not None and shown.status in ("failed", "cancelled")
    steps = _steps(status) if status.current or stopped else _waiting_steps(status)
    share = 100 / (len(steps) + 1)
    arcs = [_collect_arc(status, share)]
    arcs += [_step_arc(step, index, share) for index, step in enumerate(steps, start=1)]
    return arcs


def _steps(status: LoopStatus) -> Sequence[StepState]:
    shown = status.current or status.last
    return shown.steps if shown else []


def _waiting_steps(status: LoopStatus) -> list[StepState]:
    """What the next round will go through."""
    return [
        StepState(name=name, title=RoundStep(name).label, state="waiting")
        for name in status.next_steps
    ]


def _collect_arc(status: LoopStatus, share: float) -> Arc:
    need = status.requirement
    busy = status.current is not None
    return Arc(
        name=COLLECT,
        title=gettext("Collect %(what)s") % {"what": gettext(need.what)},
        state="alive" if not busy else "done",
        note=_collect_note(need.have, need.need, busy),
        run_id=None,
        rotation=-90.0,
        length=share - GAP,
        filled=(share - GAP) * (1.0 if busy else need.percent / 100),
    )


def _collect_note(have: int, need: int, is_busy: bool) -> str:
    if is_busy:
        return gettext("%(num)s new") % {"num": have}
    return gettext("%(done)s of %(total)s") % {"done": have, "total": need}


def _step_arc(step: StepState, index: int, share: float) -> Arc:
    state = _state(step.state)
    portion = {"done": 1.0, "bad": 1.0, "waiting": 0.0}.get(state, _portion(step))
    return Arc(
        name=step.name,
        title=gettext(step.title),
        state=state,
        note=_note(step, state),
        run_id=step.run_id,
        rotation=round(-90 + 3.6 * share * index, 2),
        length=share - GAP,
        filled=(share - GAP) * portion,
    )


def _state(state: str) -> str:
    if state in ("done", "waiting", "paused"):
        return state
    return "bad" if state in ("failed", "cancelled") else "alive"


def _portion(step: StepState) -> float:
    # A sliver shows that the step is alive before it has told its length.
    return max(0.08, step.progress_done / step.progress_total if step.progress_total else 0.0)


def _note(step: StepState, state: str) -> str:
    if state == "bad":
        return step.state
    if state not in ("alive", "paused"):
        return ""
    if step.progress_total:
        return f"{100 * step.progress_done // step.progress_total} %"
    return str(NOTES.get(step.state, step.state))
