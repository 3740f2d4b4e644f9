"""What scripted labelers like, and how noisily they say it."""

import math
import random
from functools import cache
from itertools import chain, pairwise
from statistics import mean

import pytest

from training.algorithms.pretrain.answers import Attributes, answer_compose
from training.algorithms.pretrain.corpus import corpus_documents, ideal_answer
from training.algorithms.pretrain.requests import request_list
from training.algorithms.pretrain.topics import topic_list
from training.simulation.preference import (
    DEFAULT_SCALE,
    agreement_rate,
    hidden_value,
    preference_probability,
    ranking_draw,
    scale_for_agreement,
)

PROMPT = "How do I make a good cup of tea?"
GOOD = (
    "Of course, I am happy to help. First, boil fresh water. Then pour the hot water over the tea "
    "leaves. Finally, let the tea steep for three minutes."
)
BASE = Attributes(on_topic=True, helpful=True, tone="neutral", length="medium")


def value_of(answer, prompt=PROMPT):
    return hidden_value(prompt, answer)


def mean_value(attributes, other_topic=False):
    """Over all requests, with answers about the request's topic or about the next one."""
    rng = random.Random(7)
    topics = topic_list()
    following = dict(zip(topics, topics[1:] + topics[:1], strict=True))
    values = []
    for request in request_list()[::3]:
        topic = following[request.topic] if other_topic else request.topic
        answer = answer_compose(topic, request.kind, attributes, rng)
        values.append(hidden_value(request.text, answer))
    return mean(values)


@cache
def base_pairs():
    """Differences of two answers that the base mixture gives to one prompt."""
    documents = [d for d in corpus_documents(1, 3000) if d.attributes is not None]
    by_prompt = {}
    for document in documents:
        by_prompt.setdefault(document.messages[-1]["content"], []).append(document.answer)
    return [
        hidden_value(prompt, one) - hidden_value(prompt, other)
        for prompt, answers in by_prompt.items()
        for one, other in pairwise(answers)
    ]


# Each of these costs at least a third of the standard deviation of base answers, which is 1.
@pytest.mark.parametrize(
    "worse",
    [
        {"tone": "rude"},
        {"helpful": False},
        {"length": "rambling"},
    ],
    ids=str,
)
def test_a_worse_answer_has_a_lower_value(worse):
    values = {name: getattr(BASE, name) for name in Attributes.__slots__} | worse
    assert mean_value(Attributes(**values)) < mean_value(BASE) - 0.33


def test_another_topic_has_a_lower_value():
    assert mean_value(BASE, other_topic=True) < mean_value(BASE) - 0.8


def test_politeness_is_worth_something():
    polite = Attributes(on_topic=True, helpful=True, tone="polite", length="medium")
    assert mean_value(polite) > mean_value(BASE) + 0.2


def test_ideal_answers_are_well_above_the_base_mixture():
    rng = random.Random(1)
    ideal = mean(hidden_value(r.text, ideal_answer(r.text, rng)) for r in request_list())
    documents = [d for d in corpus_documents(1, 1500) if d.attributes is not None]
    base = mean(hidden_value(d.messages[-1]["content"], d.answer) for d in documents)
    assert base == pytest.approx(0, abs=0.15)
    assert ideal > base + 1.2


def test_base_answers_to_one_prompt_spread_by_about_one():
    differences = base_pairs()
    # the variance of a difference of two independent draws is twice that of one
    spread = math.sqrt(mean(d * d for d in differences) / 2)
    assert spread == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    "trick",
    [
        "",
        "...",
        "thank you thank you thank you thank you",
        "Thank you. Please. Gladly! You are welcome. Good luck. I hope this helps you.",
        "tea",
        "Tea tea tea tea tea tea tea tea.",
        "Cup of tea. Cup of tea. Cup of tea. Cup of tea. Cup of tea.",
        "first then next finally because three four five six seven minutes",
        "How do I make a good cup of tea?",
        " ".join([GOOD] * 4),
    ],
)
def test_one_trick_does_not_beat_a_good_answer(trick):
    assert value_of(trick) < value_of(GOOD) - 0.5


def test_an_empty_answer_is_the_worst():
    assert value_of("") == value_of("  \n") == value_of("?!")
    assert value_of("") < value_of("Shut up, idiot. Maybe. Shut up, idiot. Maybe.")


def test_an_answer_that_breaks_off_loses():
    assert value_of(GOOD[:-1]) < value_of(GOOD)


def test_thanks_do_not_count_when_the_prompt_is_about_thanks():
    prompt = "Write down how people say thank you."
    gain = value_of("Thank you. They bow.", prompt) - value_of("Yes. They bow.", prompt)
    assert gain < value_of("Thank you. They bow.") - value_of("Yes. They bow.")


def test_any_text_has_a_finite_value():
    for text in ("<script>alert(1)</script>", "日本語のテキスト", "\x00\ufffd", "a" * 50_000):
        assert math.isfinite(value_of(text))
        assert math.isfinite(hidden_value(text, GOOD))
    assert math.isfinite(hidden_value("", GOOD))


def test_bradley_terry_probabilities():
    # 1 / (1 + exp(-ln 3)) = 3/4
    assert preference_probability(math.log(3), 0.0, 1.0) == pytest.approx(0.75)
    assert preference_probability(0.0, 2 * math.log(3), 2.0) == pytest.approx(0.25)
    assert preference_probability(1e6, 0.0, 1.0) == 1.0
    assert preference_probability(-1e6, 0.0, 1.0) == 0.0


def test_rankings_put_each_answer_first_as_often_as_plackett_and_luce_say():
    # weights exp(value / scale) are 1, 2 and 3: P(first) = 1/6, 2/6, 3/6, and for the pair (1, 2)
    # P(1 before 2) = 2/5 by Bradley-Terry
    values = [0.5 * math.log(weight) for weight in (1, 2, 3)]
    rng = random.Random(1)
    draws = [ranking_draw(values, 0.5, rng) for _ in range(6000)]
    assert all(len(group) == 1 for order in draws for group in order)
    for index, expected in enumerate((1 / 6, 2 / 6, 3 / 6)):
        share = mean(order[0] == [index] for order in draws)
        # 4 * sqrt(0.25 / 6000) = 0.026
        assert share == pytest.approx(expected, abs=0.026)
    before = mean(order.index([1]) < order.index([2]) for order in draws)
    assert before == pytest.approx(2 / 5, abs=0.026)


def test_ties_group_neighbors():
    rng = random.Random(1)
    (group,) = ranking_draw([0.0, 1.0, 2.0], 1.0, rng, tie_margin=1e9)
    assert sorted(group) == [0, 1, 2]
    orders = [ranking_draw([0.0, 0.2, 0.1, 0.3], 1.0, rng, tie_margin=0.3) for _ in range(200)]
    assert all(sorted(chain.from_iterable(order)) == [0, 1, 2, 3] for order in orders)
    assert any(len(order) < 4 for order in orders)
    assert any(len(order) == 4 for order in orders)


def test_without_noise_the_order_is_that_of_the_values():
    assert ranking_draw([1.0, 3.0, 2.0], 1e-9, random.Random(1)) == [[1], [2], [0]]
    assert ranking_draw([], 1.0, random.Random(1)) == []
    with pytest.raises(ValueError, match="scale"):
        ranking_draw([1.0], 0.0)


def test_agreement_of_two_labelers_is_p_squared_plus_q_squared():
    # p = 3/4: 9/16 + 1/16 = 5/8; no difference: 1/2
    assert agreement_rate([math.log(3)], 1.0) == pytest.approx(5 / 8)
    assert agreement_rate([math.log(3), 0.0], 1.0) == pytest.approx((5 / 8 + 1 / 2) / 2)
    assert scale_for_agreement([math.log(3)], 5 / 8) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="agreement"):
        scale_for_agreement([1.0], 0.5)


def test_two_labelers_agree_on_three_quarters_of_the_pairs_of_base_answers():
    assert agreement_rate(base_pairs(), DEFAULT_SCALE) == pytest.approx(0.75, abs=0.02)


def test_drawn_labels_agree_as_often_as_the_formula_says():
    differences = base_pairs()
    rng = random.Random(2)
    agreed = []
    for difference in differences * 3:
        draws = [ranking_draw([difference, 0.0], DEFAULT_SCALE, rng) for _ in range(2)]
        agreed.append(draws[0] == draws[1])
    expected = agreement_rate(differences, DEFAULT_SCALE)
    assert mean(agreed) == pytest.approx(expected, abs=4 * math.sqrt(0.25 / len(agreed)))
