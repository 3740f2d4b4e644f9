"""Documentation that can be wrong fails here: error codes, metrics, registries, links, schema."""

import importlib
import re
from pathlib import Path

import pytest
from django.core.management import call_command
from django.template.loader import get_template

from annotation.judgements import kind_list
from annotation.judgements.base import JudgementKind
from training.algorithms.errors import RunError
from training.algorithms.methods import method_list

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def subclasses(root: type) -> set[type]:
    found = set(root.__subclasses__())
    return found.union(*(subclasses(member) for member in found))


def error_codes() -> set[str]:
    from annotation.errors import DomainError

    importlib.import_module("training.errors")
    importlib.import_module("training.algorithms.pretrain.loop")
    codes = {member.code for member in subclasses(DomainError) | subclasses(RunError)}  # type: ignore[attr-defined]
    written = re.compile(r"(?:error_)?code=\"([a-z_]+)\"")
    for path in (ROOT / "training").rglob("*.py"):
        codes |= set(written.findall(path.read_text()))
    return codes


def test_every_error_code_is_documented() -> None:
    documented = (DOCS / "errors.md").read_text()
    assert {code for code in error_codes() if f"`{code}`" not in documented} == set()


def test_every_metric_is_documented() -> None:
    pages = [DOCS / "metrics.md", *(DOCS / "methods").glob("*.md")]
    documented = "".join(page.read_text() for page in pages)
    areas = [method.name for method in method_list()]
    areas += ["base", "policy", "reference", "evaluation", "data", "annotation"]
    name = re.compile(rf"\"((?:{'|'.join(areas)})/[a-z0-9_]+)\"")
    metrics = {
        metric
        for path in (ROOT / "training" / "algorithms").rglob("*.py")
        for metric in name.findall(path.read_text())
    }
    assert len(metrics) > 20
    assert {metric for metric in metrics if f"`{metric}`" not in documented} == set()


@pytest.mark.parametrize("method", method_list(), ids=lambda method: method.name)
def test_every_method_names_its_source(method: object) -> None:
    assert f"`{method.name}`" in (DOCS / "papers.md").read_text()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", kind_list(), ids=lambda kind: kind.name)
def test_every_kind_of_judgement_has_its_page_and_script(kind: object) -> None:
    name = kind.name  # type: ignore[attr-defined]
    get_template(f"frontend/judgements/{name}.html")
    assert (ROOT / "frontend" / "src" / "judgements" / f"{name}.ts").exists()


@pytest.mark.parametrize("kind", kind_list(), ids=lambda kind: kind.name)
def test_every_field_of_a_record_is_documented(kind: JudgementKind) -> None:
    page = (DOCS / "judgements.md").read_text()
    section = page.split("## What a record holds")[1].split("\n## ")[0]
    assert {name for name in kind.record_serializer().fields if f"`{name}`" not in section} == set()


def test_every_page_has_a_picture_and_every_picture_a_place() -> None:
    pages = (ROOT / "frontend" / "templates" / "frontend" / "pages").glob("*.html")
    names = {page.stem for page in pages} | {kind.name for kind in kind_list()}
    shown = set(re.findall(r"\(images/pages/([\w-]+)\.jpg\)", (DOCS / "pages.md").read_text()))
    assert names - shown == set(), "name it in tests/benchmarks/pictures.py and docs/pages.md"
    taken = {picture.stem for picture in (DOCS / "images" / "pages").iterdir()}
    assert taken ^ shown == set()


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    link = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]:
        for target in link.findall(page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_the_committed_schema_is_the_one_the_code_gives(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(made))
    assert made.read_text() == (DOCS / "openapi.yaml").read_text(), "run: make schema"
