"""The geometry behind the dashboard: axes on round numbers, arcs that fill the ring."""

import pytest
from django.contrib.auth.models import User

from annotation.models import Project
from frontend.charts import (
    BOTTOM,
    CURVES_BOTTOM,
    CURVES_SIZE,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Curve,
    Place,
    Series,
    chart,
    curve_chart,
)
from frontend.decisions import PICTURE_EDGE, PICTURE_WIDTH, trial_picture
from frontend.overoptimization import overoptimization_view
from frontend.remedies import REMEDIES, remedy_for
from frontend.ring import GAP, ring
from frontend.templatetags.frontend import compact
from tests.factories import demonstration_make
from tests.frontend.loop_rows import LoopRows, decided_round_make
from training.models import Round
from training.selectors.decisions import Trial
from training.selectors.loop import loop_status
from training.selectors.overoptimization import (
    BestOfPoint,
    CheckpointPoint,
    Overoptimization,
)


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


def test_a_curve_lies_where_its_numbers_are() -> None:
    places = [Place(0.0, 0.0), Place(2.0, 1.5, low=1.0, high=2.0), Place(5.0, None)]
    drawn = curve_chart("Gain", "root of KL", [Curve("Test", places, hue=1)])
    assert drawn is not None
    # x: 0 to 2 in about 3 steps of 0.67, rounded up to 1; y: 0 to 2, the whisker's end, likewise.
    width, height = CURVES_SIZE
    assert [tick.label for tick in drawn.x_ticks] == ["0", "1", "2"]
    assert [tick.label for tick in drawn.y_ticks] == ["0", "1", "2"]
    first, second = drawn.lines[0].points
    bottom = height - CURVES_BOTTOM
    assert (first.x, first.y) == (LEFT, bottom)
    assert second.x == width - RIGHT
    # 1.5 of 0..2 is a quarter of the height below the top, its ends a half and none.
    quarter = (bottom - TOP) / 4
    assert second.y == pytest.approx(TOP + quarter, abs=0.06)
    assert (second.low, second.high) == (pytest.approx(TOP + 2 * quarter, abs=0.06), TOP)
    assert drawn.reference == bottom
    assert curve_chart("Gain", "root of KL", [Curve("Test", [Place(1.0, None)], 1)]) is None


def point(name: str, root_kl: float, proxy: float, test: float | None, chosen: bool = False):
    error = None if test is None else 0.1
    return CheckpointPoint(name, 1, root_kl**2, root_kl, proxy, 0.1, test, error, chosen)


def test_the_chosen_checkpoint_is_marked_on_the_test_reward() -> None:
    points = [point("a", 1.0, 0.5, 0.4, chosen=True), point("b", 2.0, 1.0, 0.2)]
    best = [BestOfPoint(1, 0.0, 0.0, 0.0, 0.0), BestOfPoint(2, 0.19, 0.44, 0.3, 0.2)]
    view = overoptimization_view(Overoptimization(points, best, has_test=True))
    assert view is not None
    lines = {line.name: line for line in view.chart.lines}
    assert list(lines) == ["Test reward", "Proxy reward", "best of n: test", "best of n: proxy"]
    assert [p.mark for p in lines["Test reward"].points] == ["", "chosen", ""]
    assert not any(p.mark for p in lines["Proxy reward"].points)
    assert [line.is_dashed for line in view.chart.lines] == [False, False, True, True]
    # Whiskers are 1.96 standard errors of 0.1 around 0.4; the axis goes from 0 to 1.5 by 0.5.
    marked = lines["Test reward"].points[1]
    assert marked.low is not None
    assert marked.high is not None
    scale = (CURVES_SIZE[1] - CURVES_BOTTOM - TOP) / 1.5
    assert marked.low - marked.high == pytest.approx(2 * 0.196 * scale, abs=0.2)
    assert view.why.startswith("a was chosen: the highest mean test reward, +0.40 over SFT, of 2")


def test_without_a_test_reward_model_the_last_is_chosen_and_that_is_said() -> None:
    points = [point("a", 1.0, 0.5, None), point("b", 2.0, 1.0, None, chosen=True)]
    view = overoptimization_view(Overoptimization(points, [], has_test=False))
    assert view is not None
    assert [line.name for line in view.chart.lines] == ["Proxy reward"]
    assert view.chart.lines[0].points[2].mark == "chosen"
    assert "no test reward model could tell them apart" in view.why


def test_votes_are_drawn_between_none_and_all() -> None:
    picture = trial_picture(Trial(wins=3.0, num=4, share=0.75, low=0.25, high=1.0, wanted=10))
    assert picture is not None
    inner = PICTURE_WIDTH - 2 * PICTURE_EDGE
    assert picture.share == PICTURE_EDGE + 0.75 * inner
    assert (picture.low, picture.high) == (PICTURE_EDGE + 0.25 * inner, picture.right)
    assert picture.band == 0.75 * inner
    assert picture.even == PICTURE_WIDTH / 2
    assert "Won 3 of 4 blind votes: 75%" in picture.sentence
    assert trial_picture(None) is None


@pytest.mark.parametrize(
    ("state", "step", "arc_state", "note"),
    [
        ("votes", "verdict", "alive", "waits for people"),
        ("paused", "policy", "paused", "30 %"),
        ("failed", "policy", "bad", "failed"),
    ],
)
def test_a_round_that_stands_still_is_marked_where(
    loop_rows: LoopRows, state: str, step: str, arc_state: str, note: str
) -> None:
    decided_round_make(loop_rows, state)
    arcs = {arc.name: arc for arc in ring(loop_status(loop_rows.project))}
    assert (arcs[step].state, arcs[step].note) == (arc_state, note)


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
