"""The measurement runs on the stub stage here; docs/results/loop.md has the real numbers."""

from pathlib import Path

import pytest
from django.core.management import call_command

from annotation.models import Project, Ranking
from training.models import Round

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("stub")]


def test_a_measurement_writes_a_table_and_goes_on_where_it_stopped(
    tmp_path: Path,
) -> None:
    output = tmp_path / "results" / "loop.md"
    options = {"seeds": [1, 2], "rankings": 40, "rounds": 2, "output": output}
    call_command("measure_loop", **options)
    rows = [line for line in output.read_text().splitlines() if line.startswith(("| 1", "| 2"))]
    assert [row.split("|")[1:4] for row in rows] == [
        [" 1 ", " 1 ", " 20 "],
        [" 1 ", " 2 ", " 40 "],
        [" 2 ", " 1 ", " 20 "],
        [" 2 ", " 2 ", " 40 "],
    ]
    assert "0.750" in rows[0]
    chart = output.with_suffix(".svg").read_text()
    assert chart.count("<polyline") == 2
    assert Project.objects.count() == 2
    before = Round.objects.count(), Ranking.objects.count()
    call_command("measure_loop", **options)
    assert before == (Round.objects.count(), Ranking.objects.count()) == (6, 80)
