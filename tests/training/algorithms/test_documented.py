"""What the stages really write is what the documents say."""

from pathlib import Path

import pytest

from tests.training.algorithms.conftest import metrics_read, result_read
from training.algorithms.methods import method_list
from training.algorithms.run_dir import RunDir

DOCS = Path(RunDir.__init__.__code__.co_filename).parents[2] / "docs"


def test_every_metric_written_is_defined(chain):
    pages = [DOCS / "metrics.md", *(DOCS / "methods").glob("*.md")]
    defined = "".join(page.read_text() for page in pages)
    written: set[str] = set()
    for folder in chain.stages():
        written |= set(metrics_read(folder)) | set(result_read(folder)["metrics"])
    assert len(written) > 50
    assert {name for name in written if f"`{name}`" not in defined} == set()


@pytest.mark.parametrize("method", method_list(), ids=lambda method: method.name)
def test_every_method_has_its_row_of_inputs_and_data(method):
    rows = (DOCS / "data_formats.md").read_text().splitlines()
    row = next(row for row in rows if row.startswith(f"| `{method.name}` |"))
    for name in (*method.inputs, *method.data):
        assert f"`{name}`" in row
