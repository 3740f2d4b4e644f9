"""English and Simplified Chinese: complete catalogs, the switch, and what a page then says."""

import json
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.translation import gettext, override

from annotation.models import Project
from frontend import catalogs
from frontend.catalogs import catalog_files, catalogs_compile, problems, texts_in_code
from frontend.views.languages import catalog_script

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-CN,zh;q=0.9,en;q=0.5"}


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    catalogs_compile()


@pytest.fixture
def browser(bob: User) -> Client:
    client = Client()
    client.force_login(bob)
    return client


@pytest.mark.parametrize("path", catalog_files(), ids=lambda path: path.stem)
def test_a_catalog_translates_every_text_of_the_code(path: Path) -> None:
    assert list(problems(path)) == []


def test_texts_are_found_in_python_templates_and_scripts() -> None:
    pages, scripts = (texts_in_code(domain) for domain in ("django", "djangojs"))
    assert pages.get("Skip to the content") is not None, "a template"
    assert pages.get("Write an answer") is not None, "a kind's title"
    assert len(scripts) > 0


BROKEN = r"""
msgid "One"
msgstr ""

#, fuzzy
msgid "Two"
msgstr "Zwei"

msgid "Three %(num)s"
msgstr "Drei"

msgid "Gone"
msgstr "Weg"
"""


def test_what_is_wrong_with_a_catalog_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [("x.py", 1, text, None) for text in ("One", "Two", "Three %(num)s", "Four")]
    monkeypatch.setattr(catalogs, "_texts", lambda domain: found)
    path = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.po"
    path.parent.mkdir(parents=True)
    path.write_text(catalogs.HEAD.format(language="zh_Hans", plural_forms="nplurals=1;") + BROKEN)
    assert list(problems(path)) == [
        "not translated: 'One'",
        "fuzzy: 'Two'",
        "other placeholders: 'Three %(num)s'",
        "not translated: 'Four'",
        "no longer used: 'Gone'",
    ]


@pytest.mark.django_db
def test_a_page_follows_the_browser_until_a_language_is_chosen() -> None:
    client = Client()
    assert '<html lang="en" dir="ltr">' in client.get("/login/").content.decode()
    page = client.get("/login/", **CHINESE).content.decode()
    assert '<html lang="zh-hans" dir="ltr">' in page
    assert "登录" in page
    client.post("/language/", {"language": "en", "next": "/login/"})
    assert '<html lang="en"' in client.get("/login/", **CHINESE).content.decode()


def test_the_choice_is_remembered_and_leads_back(browser: Client) -> None:
    answer = browser.post("/language/", {"language": "zh-hans", "next": "/account/"})
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert answer.cookies["django_language"]["max-age"] == 365 * 24 * 3600
    assert 'lang="zh-hans"' in browser.get("/account/").content.decode()


def test_nobody_is_led_to_another_site(browser: Client) -> None:
    answer = browser.post("/language/", {"language": "en", "next": "https://evil.example/"})
    assert "evil" not in answer["Location"]


def test_an_english_page_loads_no_catalog(browser: Client) -> None:
    assert "/catalog/" not in browser.get("/").content.decode()


def test_a_chinese_page_loads_the_words_of_its_scripts(browser: Client, project: Project) -> None:
    page = browser.get("/projects/project/work/ranking/", **CHINESE).content.decode()
    found = re.search(r'<script defer src="(/catalog/zh-hans/\w+\.js)">', page)
    assert found is not None
    assert page.index(found[0]) < page.index('type="module"'), "before the scripts that ask it"
    answer = Client().get(found[1])
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer["Cache-Control"]
    assert answer.content.decode() == catalog_script("zh-hans")


def test_the_words_of_scripts_hold_each_text_of_theirs() -> None:
    words = json.loads(catalog_script("zh-hans").removeprefix("globalThis.preferendumWords=")[:-1])
    texts = {message.id for message in texts_in_code("djangojs") if message.id}
    assert {text if isinstance(text, str) else text[0] for text in texts} == set(words)


def test_a_catalog_of_no_language_is_not_found() -> None:
    assert Client().get("/catalog/tlh/abc.js").status_code == 404


def test_kinds_have_a_name_in_the_persons_language() -> None:
    with override("zh-hans"):
        assert gettext("Write an answer") == "撰写回答"
