"""The geometry behind the dashboard: axes on round numbers, arcs that fill the ring."""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project
from frontend.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, chart
from frontend.remedies import REMEDIES, remedy_for
from frontend.ring import GAP, ring
from frontend.templatetags.frontend import compact
from tests.factories import demonstration_make
from tests.frontend.loop_rows import LoopRows
from training.models import Round
from training.selectors.loop import loop_status


def test_an_axis_has_round_ends_that_hold_every_value() -> None:
    drawn = chart("Reward", ["1", "2"], [Series("Policy", [0.13, 1.9])])
    assert drawn is not None
    # The range 1.77 in about 3 steps: 0.59, rounded up to 1, so the axis is 0, 1, 2.
    assert [tick.label for tick in drawn.y_ticks] == ["0", "1", "2"]
    bottom, top = drawn.y_ticks[0].position, drawn.y_ticks[-1].position
    assert (bottom, top) == (HEIGHT - BOTTOM, TOP)
    # 1.9 of 0..2 is a twentieth of the height below the top.
    expected = TOP + (HEIGHT - TOP - BOTTOM) * 0.05
    assert drawn.lines[0].points[1].y == pytest.approx(expected, abs=0.06)
    assert [tick.position for tick in drawn.x_ticks] == [LEFT, WIDTH - RIGHT]


def test_missing_values_leave_a_hole_and_nothing_at_all_no_chart() -> None:
    drawn = chart("KL", ["1", "2", "3"], [Series("KL", [1.0, None, float("nan")])])
    assert drawn is not None
    assert [point.label for point in drawn.lines[0].points] == ["1.00"]
    assert chart("KL", ["1"], [Series("KL", [None])]) is None
    assert chart("KL", [], [Series("KL", [])]) is None


def test_a_reference_level_is_inside_the_axis() -> None:
    drawn = chart("Accuracy", ["1"], [Series("A", [0.8])], reference=0.5, reference_name="chance")
    assert drawn is not None
    assert drawn.reference is not None
    assert TOP <= drawn.reference <= HEIGHT - BOTTOM


def test_many_rounds_keep_few_labels() -> None:
    labels = [str(number) for number in range(20)]
    drawn = chart("KL", labels, [Series("KL", [1.0] * 20)])
    assert drawn is not None
    # 20 labels, at most 8: every third one.
    assert [tick.label for tick in drawn.x_ticks] == ["0", "3", "6", "9", "12", "15", "18"]


def test_before_the_first_round_the_ring_fills_with_demonstrations(
    project: Project, bob: User
) -> None:
    for _ in range(4):
        demonstration_make(project, bob)
    arcs = ring(loop_status(project))
    share = 100 / len(arcs)
    assert [arc.name for arc in arcs] == ["collect", "freeze", "sft", "deploy", "sample", "queue"]
    assert (arcs[0].state, arcs[0].note) == ("alive", "4 of 16")
    assert arcs[0].filled == pytest.approx((share - GAP) * 0.25)
    assert {arc.state for arc in arcs[1:]} == {"waiting"}


def test_during_a_round_the_present_step_is_alive(loop_rows: LoopRows) -> None:
    Round.objects.filter(number=1).update(status="running", finished_at=None, step="policy")
    loop_rows.policy_run.__class__.objects.filter(pk=loop_rows.policy_run.pk).update(
        status="queued", finished_at=None, progress_done=30, progress_total=120
    )
    arcs = {arc.name: arc for arc in ring(loop_status(loop_rows.project))}
    assert arcs["reward_model"].state == "done"
    assert (arcs["policy"].state, arcs["policy"].note) == ("alive", "25 %")
    assert arcs["policy"].run_id == loop_rows.policy_run.pk
    assert arcs["evaluate"].state == "waiting"


def test_a_failed_round_is_marked_where_it_stopped(loop_rows: LoopRows) -> None:
    Round.objects.filter(number=1).update(status="failed", step="policy")
    arcs = {arc.name: arc for arc in ring(loop_status(loop_rows.project))}
    assert arcs["policy"].state == "bad"
    assert arcs["deploy"].state == "waiting"


def test_every_remedy_is_a_sentence() -> None:
    for code in [*REMEDIES, "unknown_code"]:
        assert remedy_for(code).endswith(".")


@pytest.mark.parametrize(
    ("value", "words"), [(2.5000000000000023e-06, "2.5e-06"), (36.036, "36.04"), ("", "\u2013")]
)
def test_a_number_of_any_size_is_short(value: object, words: str) -> None:
    assert compact(value) == words
