"""People talk with the model, correct it and probe it, for real: live replies by a real worker.

The model is tiny, so two replies may be the same and any may be empty.
"""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.e2e.installation import Api, Installation
from tests.e2e.people import sign_in

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

# The worker shares the machine with a training round.
REPLY_MS = 120_000
SAID = ["How do I water a fern?", "And in winter?"]
SAMPLING = {"temperature": 1.0, "max_new_tokens": 24}


@pytest.fixture
def alice(chromium: Browser, installation: Installation, api: Api) -> Page:
    api.call("PATCH", "projects/demo/loop/", {"sampling": SAMPLING})
    return sign_in(chromium, installation, "alice")


def work_open(page: Page, installation: Installation, kind: str) -> None:
    page.goto(f"{installation.url}/projects/demo/work/{kind}/")
    expect(page.locator("[data-state=judging]")).to_be_visible()


def say(page: Page, text: str) -> None:
    """Types where the focus is, sends, and waits for both replies."""
    expect(page.get_by_label("Your message")).to_be_focused()
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator("[data-now]")).to_contain_text(text)
    expect(page.locator("[data-reply]")).to_have_count(2, timeout=REPLY_MS)


def submit_ready(page: Page) -> None:
    expect(page.locator("[data-submit]")).to_have_attribute("aria-disabled", "false")


def submit(page: Page) -> dict[str, Any]:
    with page.expect_response("**/submit/") as response:
        page.keyboard.press("Control+Enter")
    assert response.value.ok, response.value.text()
    payload: dict[str, Any] = response.value.request.post_data_json
    return payload


def test_a_conversation_with_the_live_policies_is_stored_with_its_choices(
    alice: Page, installation: Installation, api: Api
) -> None:
    work_open(alice, installation, "conversation")
    looks: list[Response] = []
    alice.on("response", lambda got: got.url.endswith("/turns/") and looks.append(got))
    say(alice, SAID[0])
    alice.keyboard.press("b")
    say(alice, SAID[1])
    alice.keyboard.press("1")
    submit_ready(alice)
    seen = [len(turn["replies"]) for look in looks for turn in look.json()["turns"]]
    assert set(seen) <= {0, 2}, "nobody sees one reply before the other"
    handed_in = submit(alice)

    (record,) = api.call("GET", "projects/demo/conversations/")["results"]
    first, second = record["turns"]
    assert record["last_turn"] == handed_in["last_turn"] == second["id"]
    assert [turn["text"] for turn in record["turns"]] == SAID
    shown = [[reply["id"] for reply in turn["completions"]] for turn in record["turns"]]
    assert [first["chosen"], second["chosen"]] == [shown[0][1], shown[1][0]]
    assert len({*shown[0], *shown[1]}) == 4
    said = [message["content"] for message in second["messages"]]
    assert said == [SAID[0], first["reply_text"]]
    for reply in (*shown[0], *shown[1]):
        made = api.call("GET", f"projects/demo/completions/{reply}/origin")["sample"]
        assert made["checkpoint_id"] is not None


def test_a_demonstration_that_began_with_a_draft_names_it(
    alice: Page, installation: Installation, api: Api
) -> None:
    work_open(alice, installation, "demonstration")
    alice.keyboard.press("Alt+d")
    discard = alice.get_by_role("button", name="Discard the draft")
    expect(discard).to_be_visible(timeout=REPLY_MS)
    alice.keyboard.press("Control+End")
    alice.keyboard.type(" Less in winter.")
    handed_in = submit(alice)

    written = api.call("GET", "projects/demo/demonstrations/?page_size=500")["results"]
    (record,) = [row for row in written if row["edited_from"] is not None]
    assert record["edited_from"]["id"] == handed_in["edited_from"]
    assert record["completion"].endswith("Less in winter.")
    made = api.call("GET", f"projects/demo/completions/{handed_in['edited_from']}/origin")
    assert made["sample"]["checkpoint_id"] is not None


def test_a_dialogue_an_attack_and_a_probe_are_stored_with_what_was_decided(
    alice: Page, installation: Installation, api: Api
) -> None:
    work_open(alice, installation, "dialogue")
    alice.keyboard.type("Which tea is mild?")
    alice.keyboard.press("Enter")
    ideal = alice.get_by_role("textbox", name="The ideal answer")
    expect(ideal).to_be_focused()
    alice.keyboard.press("Alt+d")
    expect(alice.get_by_role("button", name="Show changes")).to_be_visible(timeout=REPLY_MS)
    alice.keyboard.press("Control+End")
    alice.keyboard.type(" White tea.")
    alice.keyboard.press("Enter")
    submit_ready(alice)
    submit(alice)

    alice.goto(f"{installation.url}/projects/demo/work/red_team/")
    alice.get_by_role("button", name="I agree").press("Enter")
    say(alice, SAID[0])
    alice.keyboard.press("a")
    submit_ready(alice)
    alice.keyboard.press("Control+Enter")
    alice.keyboard.press("0")
    submit(alice)

    work_open(alice, installation, "rule_probe")
    alice.keyboard.type(SAID[0])
    alice.keyboard.press("Enter")
    expect(alice.locator("[data-reply]")).to_have_count(1, timeout=REPLY_MS)
    submit_ready(alice)
    alice.keyboard.press("Control+Enter")
    alice.keyboard.press("2")
    submit(alice)

    (dialogue,), (attack,), (probe,) = (
        api.call("GET", f"projects/demo/{plural}/")["results"]
        for plural in ("dialogues", "red-teamings", "rule-probes")
    )
    assert dialogue["turns"][0]["edited_from"] is not None
    assert dialogue["turns"][0]["reply_text"].endswith("White tea.")
    assert attack["attack_success"] == 0
    assert (probe["rule_verdict"], probe["broken_at"]) == ("kept", None)
