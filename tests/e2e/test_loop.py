"""The product's main job, for real: labels in a browser become a better policy.

A real server with real workers, two people in real browsers, scripted labelers for the rest.
"""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.installation import Api, Installation, wait_until
from tests.e2e.people import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

RANKINGS_PER_ROUND = 24
# The task a page shows, and the one it reserves ahead.
MAX_HELD = 2
SMALL_TRAINING = {
    "sft": {"num_epochs": 1},
    "reward_model": {"num_epochs": 1, "min_train_rankings": 4},
    "ppo": {"num_steps": 2, "batch_size": 16, "minibatch_size": 16, "num_epochs": 1},
}
# After two steps of a tiny model chance would decide; what is decided has tests of its own.
GATES_OFF = dict.fromkeys(
    ("min_pair_accuracy", "min_test_gain", "min_gain_over_previous", "max_gain_gap")
)


def write_demonstration(page: Page, installation: Installation, text: str) -> None:
    page.goto(f"{installation.url}/projects/demo/work/demonstration/")
    page.locator("[data-text]").fill(text)
    with page.expect_response("**/submit/") as response:
        page.keyboard.press("Control+Enter")
    assert response.value.ok, response.value.text()


def rank_by_keyboard(page: Page, installation: Installation, keys: list[str]) -> dict[str, Any]:
    """Ranks the next task with keys alone and returns what was submitted and shown."""
    page.goto(f"{installation.url}/projects/demo/work/ranking/")
    expect(page.locator("[data-answers] > *")).to_have_count(4, timeout=60_000)
    submit = page.locator("[data-submit]")
    expect(submit).to_have_attribute("aria-disabled", "true")
    for key in keys:
        page.keyboard.press(key)
    expect(submit).to_have_attribute("aria-disabled", "false")
    with page.expect_response("**/submit/") as response:
        page.keyboard.press("Enter")
    assert response.value.ok, response.value.text()
    payload: dict[str, Any] = response.value.request.post_data_json
    return payload


def round_wait(api: Api, installation: Installation, number: int, seconds: float) -> dict[str, Any]:
    def finished() -> dict[str, Any] | None:
        rounds = {row["number"]: row for row in api.call("GET", "projects/demo/rounds/")}
        row: dict[str, Any] | None = rounds.get(number)
        if row is None or row["status"] == "running":
            return None
        assert row["status"] == "succeeded", f"{row['error_text']}\n{installation.logs()}"
        return row

    found: dict[str, Any] = wait_until(
        finished, seconds=seconds, what=f"round {number}", logs=installation.logs
    )
    return found


def origin(api: Api, completion_id: int) -> dict[str, Any]:
    found: dict[str, Any] = api.call("GET", f"projects/demo/completions/{completion_id}/origin")
    return found


def test_labels_in_a_browser_become_the_policy_that_is_ranked_next(
    chromium: Browser, installation: Installation, api: Api
) -> None:
    settings = {
        "rankings_per_round": RANKINGS_PER_ROUND,
        "overrides": SMALL_TRAINING,
        "gates": GATES_OFF,
        "sampling": {"temperature": 1.0, "max_new_tokens": 24},
    }
    api.call("PATCH", "projects/demo/loop/", settings)

    # Two people write demonstrations; the first round answers with SFT.
    alice = sign_in(chromium, installation, "alice")
    bob = sign_in(chromium, installation, "bob")
    write_demonstration(alice, installation, "Warm the pot, then pour the water over the leaves.")
    write_demonstration(bob, installation, "Oil the chain and wipe off what is left.")
    written = api.call("GET", "projects/demo/demonstrations/")["results"]
    texts = {row["completion"] for row in written}
    assert "Oil the chain and wipe off what is left." in texts
    first = round_wait(api, installation, 0, 180)

    # They rank by keyboard, one with a tie; scripted labelers fill the rest of the round.
    order = rank_by_keyboard(alice, installation, ["c", "a", "d", "b"])["order"]
    assert [len(group) for group in order] == [1, 1, 1, 1]
    tied = rank_by_keyboard(bob, installation, ["2", "Shift+1", "4", "3"])["order"]
    assert [len(group) for group in tied] == [2, 1, 1]
    assert origin(api, order[0][0])["sample"]["checkpoint_id"] == first["checkpoint_id"]
    installation.manage(
        *("simulate_labelers", "--project", "demo", "--labelers", "4", "--seed", "1"),
        *("--rankings", str(RANKINGS_PER_ROUND)),
    )
    second = round_wait(api, installation, 1, 300)
    assert second["checkpoint_id"] != first["checkpoint_id"]
    assert second["manifest"]["rankings"], "the round trained on what was ranked"
    assert second["decision"] == "promote"

    # Alice still holds what her page claimed before the round, a task and maybe the one after it;
    # then comes what the round's own policy wrote, and rankings of it start round 2.
    for _ in range(MAX_HELD):
        rank_by_keyboard(alice, installation, ["d", "c", "b", "a"])
    order = rank_by_keyboard(alice, installation, ["b", "c", "d", "a"])["order"]
    for group in order:
        assert origin(api, group[0])["sample"]["checkpoint_id"] == second["checkpoint_id"]
    installation.manage(
        *("simulate_labelers", "--project", "demo", "--labelers", "4", "--seed", "2"),
        *("--rankings", str(RANKINGS_PER_ROUND)),
    )
    third = round_wait(api, installation, 2, 300)
    assert third["checkpoint_id"] not in {first["checkpoint_id"], second["checkpoint_id"]}

    # An admin sees it all on the dashboard, and the policies' answers side by side.
    admin = sign_in(chromium, installation, "admin")
    admin.goto(f"{installation.url}/projects/demo/")
    expect(admin.get_by_role("link", name="Round 2", exact=True)).to_be_visible()
    admin.goto(f"{installation.url}/projects/demo/answers/")
    expect(admin.get_by_role("columnheader")).not_to_have_count(0)


def test_a_stranger_sees_nothing_of_the_project(
    chromium: Browser, installation: Installation
) -> None:
    installation.manage(
        "shell",
        "-c",
        "from django.contrib.auth.models import User;"
        "User.objects.create_user('mallory', password='a-stranger-1')",
    )
    page = chromium.new_context().new_page()
    page.goto(f"{installation.url}/login/")
    page.get_by_label("Username").fill("mallory")
    page.get_by_label("Password").fill("a-stranger-1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You are not in a project yet")).to_be_visible()
    for path in ("", "work/ranking/", "answers/", "prompts/"):
        response = page.goto(f"{installation.url}/projects/demo/{path}")
        assert response is not None
        assert response.status == 404
