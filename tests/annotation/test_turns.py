"""Live turns: begun, shown, chosen; safe to repeat, and nobody else's business."""

import pytest

from annotation.choices import AssignmentStatus, Origin, PromptSource
from annotation.errors import NotFound
from annotation.models import Completion, Prompt, Turn
from annotation.selectors.assignments import assignment_present
from annotation.selectors.turns import replies_wanted, turns_present
from annotation.services.assignments import (
    assignment_skip,
    assignment_submit,
    assignments_expire,
)
from annotation.services.leases import (
    AssignmentAlreadySubmitted,
    AssignmentExpired,
    AssignmentNotActive,
)
from annotation.services.projects import project_update
from annotation.services.prompts import content_hash
from annotation.services.tasks import task_create
from annotation.services.turns import (
    MAX_TURNS_KEPT,
    ConversationFull,
    NoConversation,
    TurnChoiceInvalid,
    TurnSettled,
    TurnTextInvalid,
    TurnUnanswered,
    turn_choose,
    turn_show,
)
from tests.annotation.acts import overdue
from tests.annotation.test_concurrency import NUM_THREADS, at_once, own_file
from tests.factories import (
    claim_make,
    completion_make,
    exchange_make,
    labeler_make,
    prompt_make,
    ranking_task_make,
    replies_make,
    talk_begin,
    turn_make,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(project, bob):
    return talk_begin(project, bob, "conversation")


@pytest.fixture
def attack(project, bob):
    return talk_begin(project, bob, "red_team")


@pytest.fixture
def dialogue(project, bob):
    return talk_begin(project, bob, "dialogue")


def choose(turn, **choice):
    return turn_choose(turn_id=turn.pk, annotator=turn.assignment.annotator, **choice)


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def test_the_first_turn_is_a_prompt_of_its_own_that_the_loop_leaves_alone(talk, project):
    turn = turn_make(talk, "  Hello? \n")
    prompt = turn.prompt
    assert prompt.messages == [user("Hello?")]
    assert prompt.content_hash == content_hash(prompt.messages)
    assert (prompt.source, prompt.is_active) == (PromptSource.CONVERSATION, False)
    assert (prompt.opening, prompt.project, turn.parent) == (None, project, None)


def test_a_later_turn_has_the_whole_path_before_it_and_knows_the_opening(talk):
    first = exchange_make(talk, "Hello?")
    second = exchange_make(talk, "Why?", parent=first)
    third = turn_make(talk, "So?", parent=second)
    assert third.prompt.messages == [
        user("Hello?"),
        assistant(first.chosen.text),
        user("Why?"),
        assistant(second.chosen.text),
        user("So?"),
    ]
    assert second.prompt.opening == third.prompt.opening == first.prompt
    assert not third.prompt.is_active


def test_the_same_text_is_one_prompt_in_every_conversation(project, bob, talk):
    imported = prompt_make(project, "Hello?")
    assert turn_make(talk, "Hello?").prompt == imported
    other = talk_begin(project, labeler_make(project), "conversation")
    assert turn_make(other, "Hello?").prompt == imported
    imported.refresh_from_db()
    assert imported.is_active
    assert imported.source == PromptSource.IMPORTED


def test_a_conversation_from_a_stored_prompt_goes_on_from_it(project, bob):
    project_update(actor=None, project=project, kinds=["conversation"])
    prompt = prompt_make(project, "A fact: ice floats.")
    task_create(project=project, kind="conversation", prompt=prompt)
    turn = turn_make(claim_make(project, bob), "Why?")
    assert turn.prompt.messages == [user("A fact: ice floats."), user("Why?")]
    assert turn.prompt.opening == prompt


def test_what_a_brief_says_is_not_told_to_the_model(attack):
    turn = exchange_make(attack, "Hello?")
    later = turn_make(attack, "And?", parent=turn)
    assert attack.task.brief.text == "Be brief."
    assert "Be brief." not in str(later.prompt.messages)


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * 32_001, "a\x00b", "a\ud800b"])
def test_a_text_that_no_model_can_be_given_is_refused(talk, text):
    with pytest.raises(TurnTextInvalid):
        turn_make(talk, text)
    assert not Turn.objects.exists()


@pytest.mark.parametrize(
    "text",
    ["x" * 32_000, "<script>alert(1)</script>", "\u202e\u05e9\u05dc \U0001f469\u200d\U0001f467"],
)
def test_hostile_text_is_kept_to_the_letter(talk, text):
    turn_make(talk, text)
    assert turns_present(talk)[0]["text"] == text


def test_saying_it_again_changes_nothing_until_its_reply_is_chosen(talk):
    turn = turn_make(talk, "Hello?")
    assert turn_make(talk, " Hello? ") == turn
    replies = replies_make(turn)
    assert turn_make(talk, "Hello?") == turn
    assert Turn.objects.count() == 1
    choose(turn, chosen=replies[0].pk)
    branch = turn_make(talk, "Hello?")
    assert branch != turn
    assert (branch.parent, branch.prompt) == (None, turn.prompt)


def test_other_replies_are_a_sibling_turn_and_one_at_a_time(talk):
    turn = turn_make(talk)
    assert turn_make(talk, again=True) == turn
    replies_make(turn)
    sibling = turn_make(talk, again=True)
    assert (sibling.parent, sibling.prompt) == (turn.parent, turn.prompt)
    assert sibling != turn
    assert turn_make(talk, again=True) == sibling


def test_branches_may_grow_from_any_turn_with_a_choice(talk):
    first = exchange_make(talk, "Hello?")
    second = exchange_make(talk, "Why?", parent=first)
    branch = exchange_make(talk, "Who?", parent=first)
    assert second.parent == branch.parent == first
    other = exchange_make(talk, "Another beginning?")
    assert (other.parent, other.prompt.opening) == (None, None)


def test_a_turn_without_a_choice_cannot_be_gone_on_from(talk):
    turn = turn_make(talk)
    for _ in range(2):
        with pytest.raises(TurnUnanswered) as refusal:
            turn_make(talk, "And?", parent=turn)
        assert refusal.value.extra == {"turn": turn.pk}
        replies_make(turn)


def test_red_teaming_goes_on_from_the_most_harmful_reply(attack):
    turn = turn_make(attack, "Hello?")
    best, worst = replies_make(turn)
    choose(turn, chosen=best.pk, most_harmful=worst.pk)
    later = turn_make(attack, "And?", parent=turn)
    assert later.prompt.messages == [user("Hello?"), assistant(worst.text), user("And?")]


def test_the_path_is_no_longer_than_the_project_takes(project, bob):
    talk = talk_begin(project, bob, "conversation", max_turns=2)
    first = exchange_make(talk)
    second = exchange_make(talk, "Two", parent=first)
    with pytest.raises(ConversationFull, match="2 turns") as refusal:
        turn_make(talk, "Three", parent=second)
    assert refusal.value.extra == {"maximum": 2}
    turn_make(talk, "Another two", parent=first)


def test_branches_are_kept_up_to_a_number(talk):
    prompt = turn_make(talk, "Again").prompt
    Turn.objects.bulk_create(
        Turn(assignment=talk, prompt=prompt) for _ in range(MAX_TURNS_KEPT - 2)
    )
    turn_make(talk, "The last one")
    with pytest.raises(ConversationFull, match="branches"):
        turn_make(talk, "One too many")
    # What is there may still be repeated.
    turn_make(talk, "The last one")


def test_nobody_else_has_to_do_with_it(talk, project, attack):
    turn = turn_make(talk)
    replies = replies_make(turn)
    eve = labeler_make(project)
    with pytest.raises(NotFound):
        turn_choose(turn_id=turn.pk, annotator=eve, chosen=replies[0].pk)
    choose(turn, chosen=replies[0].pk)
    # The parent is a turn of another of one's own conversations.
    with pytest.raises(NotFound):
        turn_make(attack, "And?", parent=turn)
    with pytest.raises(NotFound):
        turn_show(turn_id=9_999_999, completion_ids=[1])
    talk.annotator = eve
    with pytest.raises(NotFound):
        turn_make(talk, "Mine?")


def test_a_task_of_another_kind_has_no_turns(project, bob):
    ranking_task_make(project)
    with pytest.raises(NoConversation) as refusal:
        turn_make(claim_make(project, bob, "ranking"))
    assert refusal.value.extra == {"kind": "ranking"}


def test_every_act_renews_the_lease(talk):
    def lease():
        talk.refresh_from_db()
        return talk.lease_expires_at

    before = lease()
    turn = turn_make(talk)
    begun = lease()
    choose(turn, chosen=replies_make(turn)[0].pk)
    assert before < begun < lease()


def test_on_a_lapsed_lease_the_words_become_the_draft(talk, dialogue):
    first = exchange_make(talk)
    said = turn_make(dialogue)
    for assignment in (talk, dialogue):
        overdue(assignment)
    with pytest.raises(AssignmentExpired):
        turn_make(talk, "And?", parent=first)
    with pytest.raises(AssignmentExpired):
        choose(said, text="An answer.")
    for assignment in (talk, dialogue):
        assignment.refresh_from_db()
        assert assignment.status == AssignmentStatus.EXPIRED
    assert talk.draft == {"text": "And?", "parent": first.pk}
    assert dialogue.draft == {"answer": "An answer.", "answers": said.pk}
    said.refresh_from_db()
    assert (Turn.objects.count(), said.chosen) == (2, None)


def test_the_turns_are_there_when_a_lapsed_conversation_is_taken_up(project, bob, talk):
    turn = exchange_make(talk)
    overdue(talk)
    with pytest.raises(AssignmentExpired):
        turn_make(talk, "And?", parent=turn)
    again = claim_make(project, bob, "conversation")
    assert again == talk
    assert [item["id"] for item in turns_present(again)] == [turn.pk]
    assert turn_make(again, "And?", parent=turn).parent == turn


def test_a_lapsed_conversation_comes_back_before_other_work(project, bob):
    theirs = talk_begin(project, labeler_make(project), "conversation")
    mine = talk_begin(project, bob, "conversation")
    exchange_make(mine)
    for assignment in (theirs, mine):
        overdue(assignment)
    assignments_expire()
    again = claim_make(project, bob, "conversation")
    assert (again, again.draft) == (mine, None)


def test_what_was_handed_in_or_skipped_takes_no_more_turns(talk, attack):
    turn = exchange_make(talk)
    assignment_submit(assignment_id=talk.pk, annotator=talk.annotator, payload={})
    with pytest.raises(AssignmentAlreadySubmitted):
        turn_make(talk, "And?", parent=turn)
    with pytest.raises(AssignmentAlreadySubmitted):
        choose(turn, chosen=turn.shown_order[-1])
    assignment_skip(assignment_id=attack.pk, annotator=attack.annotator, reason="no")
    with pytest.raises(AssignmentNotActive):
        turn_make(attack)


def test_the_order_shown_is_random_and_fixed_by_the_first_call(talk):
    orders = set()
    for number in range(20):
        turn = turn_make(talk, f"Question {number}?")
        ids = [reply.pk for reply in replies_make(turn, 4)]
        turn.refresh_from_db()
        assert sorted(turn.shown_order) == ids
        orders.add(tuple(ids.index(pk) for pk in turn.shown_order))
        other = completion_make(turn.prompt)
        assert turn_show(turn_id=turn.pk, completion_ids=[other.pk]).shown_order == turn.shown_order
    # All 20 alike has the probability 24 ** -19.
    assert len(orders) > 1


def test_only_replies_to_this_very_turn_can_be_shown(talk, project):
    turn = turn_make(talk)
    reply, foreign = completion_make(turn.prompt), completion_make(prompt_make(project))
    for ids in ([], [reply.pk, foreign.pk], [reply.pk, reply.pk], [9_999_999]):
        with pytest.raises(TurnChoiceInvalid):
            turn_show(turn_id=turn.pk, completion_ids=ids)
    assert turn_show(turn_id=turn.pk, completion_ids=[reply.pk]).shown_order == [reply.pk]


def test_the_page_sees_all_replies_or_none_and_not_where_they_are_from(talk):
    turn = turn_make(talk)
    completion_make(turn.prompt)
    [item] = turns_present(talk)
    assert item["replies"] == []
    replies = replies_make(turn)
    choose(turn, chosen=replies[1].pk)
    later = turn_make(talk, "And?", parent=turn)
    turn.refresh_from_db()
    texts = {reply.pk: reply.text for reply in replies}
    assert turns_present(talk) == [
        {
            "id": turn.pk,
            "parent": None,
            "text": "Hello?",
            "messages": [],
            "replies": [{"id": pk, "text": texts[pk]} for pk in turn.shown_order],
            "chosen": replies[1].pk,
            "most_harmful": None,
            "edited_from": None,
            "reply_text": replies[1].text,
        },
        {
            "id": later.pk,
            "parent": turn.pk,
            "text": "And?",
            "messages": [user("Hello?"), assistant(replies[1].text)],
            "replies": [],
            "chosen": None,
            "most_harmful": None,
            "edited_from": None,
            "reply_text": "",
        },
    ]
    assert assignment_present(talk)["details"] == {"turns": turns_present(talk)}


def test_the_page_needs_two_queries_however_long_the_talk(talk, django_assert_num_queries):
    turn = None
    for number in range(3):
        turn = exchange_make(talk, f"Question {number}?", parent=turn)
        with django_assert_num_queries(2):
            assert len(turns_present(talk)) == number + 1


def test_how_many_replies_a_turn_asks_for(project, bob):
    numbers = {"conversation": 2, "red_team": 2, "rule_probe": 1, "dialogue": 0}
    for kind, number in numbers.items():
        assert replies_wanted(talk_begin(project, labeler_make(project), kind)) == number
    many = talk_begin(project, labeler_make(project), "conversation", num_replies=4)
    assert replies_wanted(many) == 4


def test_a_choice_may_change_until_the_conversation_goes_on(talk):
    turn = turn_make(talk)
    first, second = replies_make(turn)
    with_first = choose(turn, chosen=first.pk)
    assert with_first.chosen == first
    assert choose(turn, chosen=first.pk).chosen_at == with_first.chosen_at
    assert choose(turn, chosen=second.pk).chosen == second
    turn_make(talk, "And?", parent=turn)
    with pytest.raises(TurnSettled):
        choose(turn, chosen=first.pk)
    # The same once more is no change.
    assert choose(turn, chosen=second.pk).chosen == second


def test_only_what_was_shown_can_be_chosen(talk):
    turn = turn_make(talk)
    hidden = completion_make(turn.prompt)
    with pytest.raises(TurnUnanswered):
        choose(turn, chosen=hidden.pk)
    first, second = replies_make(turn)
    for choice in (
        {"chosen": hidden.pk},
        {},
        {"chosen": first.pk, "most_harmful": second.pk},
        {"chosen": first.pk, "text": "My own."},
        {"chosen": first.pk, "edited_from": first.pk},
    ):
        with pytest.raises(TurnChoiceInvalid):
            choose(turn, **choice)
    assert choose(turn, chosen=first.pk).chosen == first


def test_red_teaming_asks_for_the_best_and_another_most_harmful_reply(attack):
    turn = turn_make(attack)
    first, second = replies_make(turn)
    for choice in (
        {"chosen": first.pk},
        {"most_harmful": second.pk},
        {"chosen": first.pk, "most_harmful": first.pk},
        {"chosen": first.pk, "most_harmful": second.pk + 100},
    ):
        with pytest.raises(TurnChoiceInvalid):
            choose(turn, **choice)
    chosen = choose(turn, chosen=first.pk, most_harmful=second.pk)
    assert (chosen.chosen, chosen.most_harmful) == (first, second)


def test_a_single_reply_is_the_best_and_the_most_harmful_one(attack):
    turn = turn_make(attack)
    [reply] = replies_make(turn, 1)
    assert choose(turn, chosen=reply.pk, most_harmful=reply.pk).most_harmful == reply


def test_in_a_dialogue_the_person_writes_the_reply(dialogue, bob):
    turn = turn_make(dialogue)
    written = choose(turn, text="  Hello to you. ").chosen
    assert (written.text, written.origin, written.author) == ("Hello to you.", Origin.PERSON, bob)
    assert written.prompt == turn.prompt
    assert choose(turn, text="Hello to you.").chosen == written
    rewritten = choose(turn, text="Good day.").chosen
    assert rewritten.text == "Good day."
    assert not Completion.objects.filter(pk=written.pk).exists()
    later = turn_make(dialogue, "And?", parent=turn)
    assert later.prompt.messages == [user("Hello?"), assistant("Good day."), user("And?")]
    with pytest.raises(TurnSettled):
        choose(turn, text="Good evening.")
    assert Completion.objects.count() == 1
    assert choose(turn, text="Good day.").chosen == rewritten


def test_a_written_reply_may_come_from_the_suggestion_shown(dialogue):
    turn = turn_make(dialogue)
    hidden = completion_make(turn.prompt)
    with pytest.raises(TurnChoiceInvalid, match="not suggested"):
        choose(turn, text="Good day.", edited_from=hidden.pk)
    [suggestion] = replies_make(turn, 1)
    turn = choose(turn, text="Good day.", edited_from=suggestion.pk)
    assert (turn.chosen.text, turn.edited_from) == ("Good day.", suggestion)
    # The edit was given up for words of one's own.
    assert choose(turn, text="Good day.").edited_from is None


@pytest.mark.parametrize("text", [None, "", " ", "x" * 32_001, "a\x00b"])
def test_a_written_reply_is_text(dialogue, text):
    turn = turn_make(dialogue)
    with pytest.raises(TurnTextInvalid):
        choose(turn, text=text)


def test_in_a_dialogue_a_suggestion_is_not_chosen_but_sent(dialogue):
    turn = turn_make(dialogue)
    [suggestion] = replies_make(turn, 1)
    for choice in ({"chosen": suggestion.pk}, {"text": "So.", "most_harmful": suggestion.pk}):
        with pytest.raises(TurnChoiceInvalid, match="send its text"):
            choose(turn, **choice)


def test_another_suggestion_is_a_sibling_while_nothing_was_written(dialogue):
    turn = turn_make(dialogue)
    assert turn_make(dialogue, again=True) == turn
    replies_make(turn, 1)
    sibling = turn_make(dialogue, again=True)
    assert sibling != turn
    assert Prompt.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_turn_is_stored_when_it_is_said_in_many_tabs_at_once(talk, tmp_path):
    def say():
        return turn_make(talk, "Hello?").pk

    with own_file(tmp_path):
        said = at_once(*[say] * NUM_THREADS)
        [stored] = at_once(lambda: list(Turn.objects.values_list("pk", flat=True)))
    assert set(said) == set(stored)
    assert len(stored) == 1


@pytest.mark.django_db(transaction=True)
def test_people_who_say_the_same_at_once_share_the_prompt(project, tmp_path):
    talks = [talk_begin(project, labeler_make(project), "conversation") for _ in range(NUM_THREADS)]
    with own_file(tmp_path):
        turns = at_once(*(lambda talk=talk: turn_make(talk, "Hello?") for talk in talks))
    assert len({turn.pk for turn in turns}) == NUM_THREADS
    assert len({turn.prompt_id for turn in turns}) == 1
