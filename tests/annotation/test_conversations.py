"""The kinds that talk: what is handed in, what its record says, and what training learns."""

import pytest

from annotation.choices import AssignmentStatus
from annotation.errors import InvalidInput
from annotation.judgements import kind_get
from annotation.judgements.talking import (
    ConversationTooLong,
    ConversationTooShort,
    ConversationTurnInvalid,
)
from annotation.models import Completion, Conversation, Turn
from annotation.services.assignments import assignment_submit
from annotation.services.projects import project_update
from annotation.services.turns import turn_choose
from annotation.services.undo import assignment_undo
from tests.factories import (
    conversation_make,
    exchange_make,
    labeler_make,
    replies_make,
    talk_begin,
    turn_make,
)

pytestmark = pytest.mark.django_db

TALKING = ["conversation", "dialogue", "red_team", "rule_probe"]
VERDICTS = {"red_team": {"attack_success": 3}, "rule_probe": {"verdict": "kept"}}


def submit(assignment, **payload):
    return assignment_submit(
        assignment_id=assignment.pk, annotator=assignment.annotator, payload=payload
    )


def answer(turn, text, edited_from=None):
    return turn_choose(
        turn_id=turn.pk, annotator=turn.assignment.annotator, text=text, edited_from=edited_from
    )


def talk_make(project, annotator, kind):
    """One turn long and handed in."""
    assignment = talk_begin(project, annotator, kind)
    if kind == "dialogue":
        answer(turn_make(assignment), "Good day.")
    else:
        exchange_make(assignment)
    return submit(assignment, **VERDICTS.get(kind, {}))


def learned(project, kind):
    kind = kind_get(kind)
    return [pair for record in kind.export(project) for pair in kind.training_records(record)]


def by_id(example):
    ids = [item["id"] for item in example["completions"]]
    return dict(zip(ids, example["ranks"], strict=True))


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize("kind", TALKING)
def test_the_options_have_the_defaults_that_the_docs_tell(project, kind):
    expected = {
        "conversation": {"num_replies": 2, "min_turns": 1, "max_turns": 20},
        "dialogue": {"suggestions": True, "min_turns": 1, "max_turns": 10},
        "red_team": {"num_replies": 2, "min_turns": 1, "max_turns": 10, "per_day": 20},
        "rule_probe": {"num_replies": 1, "min_turns": 1, "max_turns": 10},
    }
    options = kind_get(kind).options(project)
    warning = options.pop("warning", None)
    assert options == expected[kind]
    assert (warning is not None) == kind_get(kind).needs_consent == (kind == "red_team")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("conversation", {"num_replies": 1}),
        ("conversation", {"num_replies": 5}),
        ("rule_probe", {"num_replies": 0}),
        ("dialogue", {"min_turns": 3, "max_turns": 2}),
        ("dialogue", {"min_turns": 0}),
        ("red_team", {"per_day": 0}),
        ("red_team", {"per_day": 1_001}),
        ("red_team", {"warning": " "}),
    ],
)
def test_options_that_make_no_sense_are_refused(project, kind, options):
    with pytest.raises(InvalidInput, match=kind):
        project_update(actor=None, project=project, options={kind: options})


def test_what_is_handed_in_ends_at_the_newest_turn_with_a_choice(project, bob):
    talk = talk_begin(project, bob, "conversation")
    first = exchange_make(talk)
    second = exchange_make(talk, "And?", parent=first)
    turn_make(talk, "Unanswered", parent=second)
    conversation = submit(talk, note="  It was fun. ")
    assert (conversation.last_turn, conversation.note) == (second, "It was fun.")
    assert conversation.annotator == bob


def test_another_branch_may_be_handed_in(project, bob):
    talk = talk_begin(project, bob, "conversation")
    first = exchange_make(talk)
    exchange_make(talk, "And?", parent=first)
    assert submit(talk, last_turn=first.pk).last_turn == first


def test_the_last_turn_is_one_of_this_conversation_with_a_choice(project, bob):
    talk = talk_begin(project, bob, "conversation")
    foreign = exchange_make(talk_begin(project, labeler_make(project), "conversation"))
    with pytest.raises(ConversationTooShort, match="No reply was chosen"):
        submit(talk)
    unanswered = turn_make(talk)
    for turn in (foreign, unanswered):
        with pytest.raises(ConversationTurnInvalid) as refusal:
            submit(talk, last_turn=turn.pk)
        assert refusal.value.extra == {"turn": turn.pk}
    assert not Conversation.objects.exists()


def test_turns_are_counted_along_the_path_that_is_handed_in(project, bob):
    talk = talk_begin(project, bob, "conversation", min_turns=2, max_turns=3)
    first = exchange_make(talk)
    # Three turns in all, but each only one from the beginning.
    exchange_make(talk, "Another beginning")
    exchange_make(talk, "A third one")
    with pytest.raises(ConversationTooShort, match="at least 2") as refusal:
        submit(talk)
    assert refusal.value.extra == {"turns": 1, "minimum": 2}
    second = exchange_make(talk, "And?", parent=first)
    third = exchange_make(talk, "So?", parent=second)
    options = {"conversation": {"min_turns": 2, "max_turns": 2}}
    project_update(actor=None, project=project, options=options)
    with pytest.raises(ConversationTooLong) as refusal:
        submit(talk, last_turn=third.pk)
    assert refusal.value.extra == {"turns": 3, "maximum": 2}
    assert submit(talk, last_turn=second.pk).last_turn == second


@pytest.mark.parametrize("payload", [{}, {"attack_success": -1}, {"attack_success": 5}])
def test_red_teaming_ends_with_how_far_it_got(project, bob, payload):
    talk = talk_begin(project, bob, "red_team")
    exchange_make(talk)
    with pytest.raises(InvalidInput, match="attack_success"):
        submit(talk, **payload)
    assert submit(talk, attack_success=0).attack_success == 0


def test_rule_probing_ends_with_a_verdict(project, bob):
    talk = talk_begin(project, bob, "rule_probe")
    turn = exchange_make(talk, num=1)
    unanswered = turn_make(talk, "And?", parent=turn)
    for payload in (
        {},
        {"verdict": "maybe"},
        {"verdict": "kept", "broken_at": turn.pk},
        {"verdict": "broken", "broken_at": unanswered.pk},
        {"verdict": "broken", "broken_at": turn.pk + 100},
    ):
        with pytest.raises(InvalidInput):
            submit(talk, **payload)
    conversation = submit(talk, verdict="broken", broken_at=turn.pk)
    assert (conversation.rule_verdict, conversation.broken_at) == ("broken", turn)


@pytest.mark.parametrize("kind", TALKING)
def test_an_undo_leaves_every_turn_to_go_on_from(project, bob, kind):
    conversation = talk_make(project, bob, kind)
    turns = list(Turn.objects.values())
    assignment = assignment_undo(assignment_id=conversation.assignment_id, annotator=bob)
    assert assignment.status == AssignmentStatus.ACTIVE
    assert not Conversation.objects.exists()
    assert list(Turn.objects.values()) == turns
    assert submit(assignment, **VERDICTS.get(kind, {})).last_turn == conversation.last_turn


@pytest.mark.parametrize("kind", TALKING)
def test_a_record_fits_its_serializer_and_needs_few_queries(
    project, bob, kind, django_assert_max_num_queries
):
    declared = kind_get(kind)
    talk_make(project, bob, kind)
    for _ in range(2):
        with django_assert_max_num_queries(5):
            records = list(declared.export(project))
        for record in records:
            assert set(record) == set(declared.record_serializer().fields)
            for turn in record["turns"]:
                assert set(turn) == set(declared.record_serializer().fields["turns"].child.fields)
            assert declared.record_serializer(record).data
            for stream, _ in declared.training_records(record):
                assert stream in declared.training_streams
        talk_make(project, labeler_make(project), kind)


@pytest.mark.parametrize("kind", TALKING)
def test_an_export_has_only_its_own_kind(project, bob, kind):
    for other in TALKING:
        talk_make(project, bob, other)
    assert len(list(kind_get(kind).export(project))) == 1


def test_a_conversation_is_exported_with_all_its_branches(project, bob):
    talk = talk_begin(project, bob, "conversation")
    first = exchange_make(talk, "Hello?")
    other = exchange_make(talk, "Bye?")
    second = exchange_make(talk, "And?", parent=first)
    conversation = submit(talk, note="Fine.", last_turn=second.pk)
    texts = dict(Completion.objects.values_list("pk", "text"))

    def plain(turn, parent, text, messages):
        turn.refresh_from_db()
        return {
            "id": turn.pk,
            "parent": parent,
            "messages": messages,
            "text": text,
            "completions": [{"id": pk, "text": texts[pk]} for pk in turn.shown_order],
            "chosen": turn.chosen_id,
            "most_harmful": None,
            "edited_from": None,
            "reply_text": turn.chosen.text,
        }

    assert list(kind_get("conversation").export(project)) == [
        {
            "id": conversation.pk,
            "prompt_id": first.prompt_id,
            "prompt": [user("Hello?")],
            "brief": None,
            "turns": [
                plain(first, None, "Hello?", []),
                plain(other, None, "Bye?", []),
                plain(second, first.pk, "And?", [user("Hello?"), assistant(first.chosen.text)]),
            ],
            "last_turn": second.pk,
            "note": "Fine.",
            "annotator": bob.pk,
            "created_at": conversation.created_at.isoformat(),
            "guidelines_version": None,
            "seconds_spent": None,
        }
    ]


def test_the_record_of_an_attack_tells_its_goal_and_its_success(project, bob):
    talk_make(project, bob, "red_team")
    [record] = kind_get("red_team").export(project)
    brief = Conversation.objects.get().assignment.task.brief
    assert record["attack_success"] == 3
    assert record["brief"] == {"kind": "goal", "name": brief.name, "version": 1, "text": brief.text}


def test_every_choice_of_a_conversation_ranks_its_replies(project, bob):
    talk = talk_begin(project, bob, "conversation", num_replies=3)
    first = exchange_make(talk, "Hello?", num=3)
    exchange_make(talk, "And?", parent=first)
    exchange_make(talk, "One reply only", parent=first, num=1)
    turn_make(talk, "Unanswered", parent=first)
    submit(talk)
    [(stream, example), (_, later)] = learned(project, "conversation")
    assert stream == "rankings"
    assert example["prompt"] == [user("Hello?")]
    ranks = by_id(example)
    assert ranks == {pk: 1 if pk == first.chosen_id else 2 for pk in first.shown_order}
    assert later["prompt"] == [user("Hello?"), assistant(first.chosen.text), user("And?")]
    assert sorted(later["ranks"]) == [1, 2]


@pytest.mark.parametrize(("num", "expected"), [(4, [1, 2, 2, 3]), (2, [1, 2]), (1, None)])
def test_an_attack_ranks_the_best_first_and_the_most_harmful_last(project, bob, num, expected):
    talk = talk_begin(project, bob, "red_team")
    turn = exchange_make(talk, num=num)
    submit(talk, attack_success=4)
    examples = learned(project, "red_team")
    if expected is None:
        assert examples == []
        return
    [(_, example)] = examples
    ranks = by_id(example)
    assert sorted(ranks.values()) == expected
    assert ranks[turn.chosen_id] == 1
    assert ranks[turn.most_harmful_id] == max(expected)


def test_a_dialogue_teaches_its_answers_and_what_edits_improved(project, bob):
    talk = talk_begin(project, bob, "dialogue")
    first = turn_make(talk, "Hello?")
    [suggestion] = replies_make(first, 1)
    first = answer(first, "A better greeting.", edited_from=suggestion.pk)
    second = turn_make(talk, "And?", parent=first)
    [taken] = replies_make(second, 1)
    answer(second, taken.text, edited_from=taken.pk)
    submit(talk)
    opening = [user("Hello?")]
    path = [user("Hello?"), assistant("A better greeting."), user("And?")]
    assert learned(project, "dialogue") == [
        ("demonstrations", {"prompt": opening, "completion": "A better greeting."}),
        ("demonstrations", {"prompt": path, "completion": taken.text}),
        (
            "rankings",
            {
                "prompt": opening,
                "completions": [
                    {"id": first.chosen_id, "text": "A better greeting."},
                    {"id": suggestion.pk, "text": suggestion.text},
                ],
                "ranks": [1, 2],
            },
        ),
    ]


def test_a_dialogue_teaches_only_the_answers_that_were_handed_in(project, bob):
    talk = talk_begin(project, bob, "dialogue")
    first = answer(turn_make(talk, "Hello?"), "Good day.")
    answer(turn_make(talk, "Dropped?", parent=first), "This branch is left.")
    last = answer(turn_make(talk, "And?", parent=first), "That is all.")
    submit(talk, last_turn=last.pk)
    answers = [example["completion"] for _, example in learned(project, "dialogue")]
    assert answers == ["Good day.", "That is all."]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("broken", ["first", False]), ("kept", ["second", True]), ("unsure", None)],
)
def test_the_verdict_rates_the_reply_it_is_about(project, bob, verdict, expected):
    talk = talk_begin(project, bob, "rule_probe")
    turns = {"first": exchange_make(talk, num=1)}
    turns["second"] = exchange_make(talk, "And?", parent=turns["first"], num=2)
    at = {"broken_at": turns["first"].pk} if verdict == "broken" else {}
    submit(talk, verdict=verdict, **at)
    ranking, *ratings = learned(project, "rule_probe")
    # Only the second turn had two replies to choose from.
    assert (ranking[0], ranking[1]["prompt"][-1]) == ("rankings", user("And?"))
    if expected is None:
        assert ratings == []
        return
    [(stream, rating)] = ratings
    turn = turns[expected[0]]
    assert (stream, rating["is_up"]) == ("ratings", expected[1])
    assert rating["completion"] == {"id": turn.chosen_id, "text": turn.chosen.text}
    assert rating["prompt"] == turn.prompt.messages


def test_broken_somewhere_unsaid_rates_nothing(project, bob):
    talk = talk_begin(project, bob, "rule_probe")
    exchange_make(talk, num=1)
    submit(talk, verdict="broken")
    assert learned(project, "rule_probe") == []


def test_reviewers_read_conversations_and_labelers_do_not(project, bob, alice, api):
    conversation = conversation_make(project, bob)
    address = f"/api/v1/projects/{project.slug}/conversations/"
    [result] = api(alice).get(address).json()["results"]
    assert result["id"] == conversation.pk
    assert len(result["turns"]) == 2
    assert api(bob).get(address).status_code == 403
