import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Prompt
from annotation.selectors.access import role_of
from annotation.services.tokens import token_authenticate

pytestmark = pytest.mark.django_db


def run(*args: str) -> str:
    out = StringIO()
    call_command(*args, stdout=out, stderr=out)
    return out.getvalue()


def test_token_create_prints_a_token_that_works(alice):
    token = token_authenticate(run("token_create", "alice", "--days", "2").strip())
    assert token is not None
    assert token.user == alice
    with pytest.raises(CommandError, match="no user 'nobody'"):
        run("token_create", "nobody")


def test_member_add_gives_the_role(project, charlie):
    run("member_add", "project", "charlie", "--role", "reviewer")
    assert role_of(charlie, project) == "reviewer"
    with pytest.raises(CommandError, match="no username 'nobody'"):
        run("member_add", "project", "nobody")
    with pytest.raises(CommandError, match="no project 'none'"):
        run("member_add", "none", "charlie")


def test_prompts_import_reads_a_file_whole_or_not_at_all(project, tmp_path):
    file = tmp_path / "prompts.jsonl"
    lines = [json.dumps({"prompt": f"P{n} \u2028 ü"}, ensure_ascii=False) for n in range(3)]
    file.write_text("\ufeff" + "\n".join([*lines, "oops"]), encoding="utf-8")
    with pytest.raises(CommandError, match="line 4"):
        run("prompts_import", "project", str(file))
    assert Prompt.objects.count() == 0
    file.write_text("\n".join(lines), encoding="utf-8")
    assert "3 prompts imported, 0 were" in run("prompts_import", "project", str(file))
    assert "0 prompts imported, 3 were" in run("prompts_import", "project", str(file))


def test_prompts_import_says_what_it_cannot_read(project, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(b"\xff\xfe")
    for path in (file, tmp_path / "missing", tmp_path):
        with pytest.raises(CommandError, match="Cannot read"):
            run("prompts_import", "project", str(path))
    with pytest.raises(CommandError, match="no project 'none'"):
        run("prompts_import", "none", str(file))
