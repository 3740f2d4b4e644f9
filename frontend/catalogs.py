"""The texts in other languages: `python -m frontend.catalogs [--extract]`.

English is the language of the code, so it has no catalog. Every other language has two files under
locale/<language>/LC_MESSAGES/: django.po for Python and templates, djangojs.po for the pages'
scripts. They are compiled into the .mo files that gettext reads; those are not in git.

--extract  first bring the .po files up to date with the texts in the code
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

FRONTEND = Path(__file__).resolve().parent
ROOT = FRONTEND.parent
LOCALE = FRONTEND / "locale"
PACKAGES = ("annotation", "config", "frontend", "training")
PYTHON, SCRIPTS = "django", "djangojs"
LINE_WIDTH = 100
KEYWORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"), None),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
}
HEAD = r"""msgid ""
msgstr ""
"Language: {language}\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: {plural_forms}\n"

"""
Found = tuple[str, int, str | tuple[str, ...], str | None]


def catalog_files() -> list[Path]:
    return sorted(LOCALE.glob("*/LC_MESSAGES/*.po"))


def catalog_read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], domain=path.stem)


def catalogs_compile() -> None:
    for path in catalog_files():
        compiled = path.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < path.stat().st_mtime:
            with compiled.open("wb") as file:
                write_mo(file, catalog_read(path))


def catalogs_extract() -> None:
    """New texts come in untranslated and those no longer used go; translations stay."""
    for domain in (PYTHON, SCRIPTS):
        template = texts_in_code(domain)
        for path in catalog_files():
            if path.stem == domain:
                catalog = catalog_read(path)
                catalog.update(template, no_fuzzy_matching=True)
                catalog.obsolete.clear()
                _write(path, catalog)


def texts_in_code(domain: str) -> Catalog:
    """Every text that the code of a domain asks a translation of."""
    catalog = Catalog(domain=domain)
    for place, _, text, context in _texts(domain):
        catalog.add(text, locations=[(place, 1)], context=context)
    return catalog


def problems(path: Path) -> Iterator[str]:
    """What keeps a catalog from being complete and right."""
    catalog, used = catalog_read(path), texts_in_code(path.stem)
    for message in used:
        if message.id:
            known = catalog.get(message.id, message.context)
            yield from _message_problems(message, known)
    for message in catalog:
        if message.id and used.get(message.id, message.context) is None:
            yield f"no longer used: {message.id!r}"


def _message_problems(message: Message, known: Message | None) -> Iterator[str]:
    strings = _strings(known)
    if known is None or not all(strings):
        yield f"not translated: {message.id!r}"
    elif known.fuzzy:
        yield f"fuzzy: {message.id!r}"
    elif any(_placeholders(string) != _placeholders(message.id) for string in strings):
        yield f"other placeholders: {message.id!r}"


def _strings(message: Message | None) -> list[str]:
    if message is None:
        return []
    string = message.string
    return [string] if isinstance(string, str) else list(string or [""])


def _placeholders(text: str | Sequence[str]) -> set[str]:
    # Of a plural text: the form for many, which names everything.
    whole = text if isinstance(text, str) else text[-1]
    return set(re.findall(r"%\(\w+\)[sd]|\{\w*\}|%[sd%]", whole))


def _texts(domain: str) -> Iterator[Found]:
    if domain == SCRIPTS:
        for path in sorted((FRONTEND / "src").rglob("*.ts")):
            if not path.name.endswith(".test.ts"):
                yield from _found(path, path.read_text(), "javascript")
        return
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield from _found(path, path.read_text(), "python")
    for path in sorted((FRONTEND / "templates").rglob("*.html")):
        yield from _found(path, _template_as_python(path), "python")


def _found(path: Path, source: str, method: str) -> Iterator[Found]:
    options = {"encoding": "utf-8"}
    place = path.relative_to(ROOT).as_posix()
    for line, text, _, context in extract(
        method, io.BytesIO(source.encode()), keywords=KEYWORDS, options=options
    ):
        yield place, line, text, context


def _template_as_python(path: Path) -> str:
    """Django's own reading of a template's texts: calls of gettext between letters X."""
    # Django is not set up where only the files are compiled; the reading needs no settings.
    from django.utils.translation.template import templatize

    lines = templatize(path.read_text(), origin=str(path)).splitlines()
    calls = [call for line in lines for call in re.findall(CALL, line)]
    return "\n".join(calls)


# ' gettext("…") ' and its relatives, as templatize writes them around repr() of the texts.
TEXT = r"u?(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
CALL = rf"(?:n?p?gettext|_)\((?:{TEXT}(?:,\s*)?)+(?:count)?\)"


def _write(path: Path, catalog: Catalog) -> None:
    """With a head of our own: dates and empty names would differ at every run."""
    head = HEAD.format(language=path.parts[-3], plural_forms=catalog.plural_forms)
    with path.open("wb") as file:
        file.write(head.encode())
        write_po(
            file,
            catalog,
            width=LINE_WIDTH,
            sort_output=True,
            include_lineno=False,
            omit_header=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="frontend.catalogs", description=__doc__)
    parser.add_argument("--extract", action="store_true", help="bring the .po files up to date")
    if parser.parse_args(arguments).extract:
        catalogs_extract()
        for path in catalog_files():
            print(f"{path.relative_to(ROOT)}: {sum(1 for _ in problems(path))} to translate")
    catalogs_compile()


if __name__ == "__main__":
    main(sys.argv[1:])
