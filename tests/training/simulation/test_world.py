"""The parts of a simulated world that need no model: language, gold, people, and their numbers."""

import math
import random
import statistics

import pytest

from training.simulation.world.gold import Gold, GoldOptions, word_value
from training.simulation.world.language import Language, LanguageOptions
from training.simulation.world.outcomes import (
    estimate,
    label_factor,
    labels_needed,
    paired_difference,
    peak_gain,
)
from training.simulation.world.plan import Plan, plan_read
from training.simulation.world.population import (
    Labeler,
    PopulationOptions,
    pair_agreement,
    population_draw,
)
from training.simulation.world.work import base_differences, prompts_draw

LANGUAGE = Language(LanguageOptions(num_words=6, num_easy_topics=2, num_hard_topics=1))


def test_a_liked_word_is_best_in_moderation_and_a_disliked_one_costs_each_time() -> None:
    # w (n - n^2 / 2m) with w = 3, m = 2: 0, 9/4, 3, 9/4, 0, -15/4, -9
    assert [word_value(3.0, n, 2.0) for n in range(7)] == [0, 2.25, 3, 2.25, 0, -3.75, -9]
    assert [word_value(-3.0, n, 2.0) for n in range(3)] == [0, -3, -6]


@pytest.mark.parametrize("weight", [2.0, -2.0])
def test_word_values_are_concave(weight: float) -> None:
    values = [word_value(weight, n, 2.5) for n in range(10)]
    second = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    # w (n - n^2 / 2m) has second differences -w / m; a line has none
    assert second == pytest.approx([-0.8 if weight > 0 else 0.0] * 8)


def test_gold_has_mean_0_and_its_spread_over_the_languages_own_answers() -> None:
    gold = Gold(LANGUAGE, GoldOptions(hard_spread=2.0), seed=3)
    rng = random.Random(99)
    for topic in LANGUAGE.topics:
        prompt = LANGUAGE.prompts(topic)[5]
        values = [gold.value(prompt, LANGUAGE.answer(topic, rng)) for _ in range(4_000)]
        spread = 2.0 if topic in LANGUAGE.hard_topics else 1.0
        # standard errors: 1/sqrt(4000) = .016 of the mean here, .026 of the mean that normalizes
        assert statistics.fmean(values) == pytest.approx(0.0, abs=0.12 * spread)
        assert statistics.pstdev(values) == pytest.approx(spread, rel=0.08)


def test_gold_depends_on_the_topic_the_words_and_nothing_else() -> None:
    gold = Gold(LANGUAGE, GoldOptions(), seed=1)
    easy, other, hard = (LANGUAGE.prompts(topic) for topic in LANGUAGE.topics)
    answer = LANGUAGE.answer(LANGUAGE.topics[0], random.Random(1))
    turned = " ".join(reversed(answer.split()))
    assert gold.value(easy[0], answer) == gold.value(easy[7], turned)
    assert len({gold.value(prompts[0], answer) for prompts in (easy, other, hard)}) == 3
    assert gold.value(easy[0], answer) != Gold(LANGUAGE, GoldOptions(), 2).value(easy[0], answer)
    with pytest.raises(ValueError, match="names no topic"):
        gold.value("what about it", answer)


def test_an_answer_too_short_costs_more_than_it_saves() -> None:
    gold = Gold(LANGUAGE, GoldOptions(), seed=1)
    prompt = LANGUAGE.prompts(LANGUAGE.topics[0])[0]
    assert gold.value(prompt, "") < 0


def test_answers_have_the_chains_frequencies() -> None:
    topic = LANGUAGE.topics[0]
    rng = random.Random(4)
    answers = [LANGUAGE.answer(topic, rng).split() for _ in range(3_000)]
    assert {len(answer) for answer in answers} == set(range(10, 15))
    for place, word in enumerate(LANGUAGE.words):
        share = LANGUAGE.chains[topic][-1][place]
        error = math.sqrt(share * (1 - share) / 3_000)
        found = sum(answer[0] == word for answer in answers) / 3_000
        assert found == pytest.approx(share, abs=4 * error)


@pytest.mark.parametrize("agreement", [0.63, 0.75])
def test_people_agree_as_often_as_asked(agreement: float) -> None:
    gold = Gold(LANGUAGE, GoldOptions(), seed=1)
    differences = base_differences(LANGUAGE, gold, 1)
    people = population_draw(PopulationOptions(agreement=agreement, spread=0.0), differences, 1)
    # the closed form p^2 + (1 - p)^2, averaged over the pairs
    assert pair_agreement(people[0], people[1], differences) == pytest.approx(agreement, abs=1e-6)
    # and what two of them really say, 20 times over 400 pairs: s.e. < .006
    rng = random.Random(1)
    alike = [
        people[0].rank([d, 0.0], rng) == people[1].rank([d, 0.0], rng)
        for d in differences
        for _ in range(20)
    ]
    assert statistics.fmean(alike) == pytest.approx(agreement, abs=0.02)


def test_flips_and_spammers_lower_agreement_as_arithmetic_says() -> None:
    sure = Labeler("a", scale=1e-6, flips=0.0, is_spammer=False)
    flipping = Labeler("b", scale=1e-6, flips=0.25, is_spammer=False)
    spammer = Labeler("c", scale=1e-6, flips=0.0, is_spammer=True)
    # p = 1 and q = 3/4: 3/4; both flipping: (3/4)^2 + (1/4)^2 = 5/8; a coin agrees half the time
    assert pair_agreement(sure, flipping, [1.0]) == pytest.approx(0.75)
    assert pair_agreement(flipping, flipping, [1.0, -2.0]) == pytest.approx(0.625)
    assert pair_agreement(sure, spammer, [1.0]) == pytest.approx(0.5)
    rng = random.Random(2)
    flipped = sum(flipping.rank([3.0, 2.0, 1.0], rng) == [[2], [1], [0]] for _ in range(4_000))
    assert flipped / 4_000 == pytest.approx(0.25, abs=0.03)
    orders = {str(spammer.rank([3.0, 2.0, 1.0], rng)) for _ in range(200)}
    assert len(orders) == 6


def test_a_share_of_the_people_are_spammers() -> None:
    people = population_draw(PopulationOptions(num=10, spammers=0.2), [1.0, -0.5], 1)
    assert sum(person.is_spammer for person in people) == 2
    assert len({person.scale for person in people}) == 10


# ---- plans


def test_rounds_share_the_rankings_of_the_labels_out() -> None:
    # 1000 comparisons are 167 rankings of 4, which are 6 comparisons each
    assert sum(Plan(num_comparisons=1_000, num_rounds=1).rankings_by_round()) == 167
    shares = Plan(num_comparisons=1_000, num_rounds=5).rankings_by_round()
    assert sum(shares) == 167
    assert set(shares) == {33, 34}


def test_a_plan_reads_back_and_its_key_follows_every_value() -> None:
    plan = Plan(seed=3, kl_coefficients=(0.1, 0.2), policy={"learning_rate": 1e-3})
    assert plan_read(plan.as_json()) == plan
    assert len({plan.key, plan.for_seed(4).key, Plan(seed=3).key}) == 3


def test_prompts_come_in_the_shares_asked_and_gold_is_measured_on_others() -> None:
    plan = Plan(num_prompts=200, hard_share=0.1, num_measured=240)
    pool, measured = prompts_draw(LANGUAGE, plan)
    hard = [text for text in pool if LANGUAGE.topic_of(text) in LANGUAGE.hard_topics]
    assert (len(pool), len(hard)) == (200, 20)
    assert not set(pool) & set(measured)
    # 240 answers, four to a prompt, three topics: 20 prompts about each
    assert [sum(LANGUAGE.topic_of(t) == topic for t in measured) for topic in LANGUAGE.topics] == [
        20, 20, 20,
    ]  # fmt: skip


# ---- what worlds say together


def world(gold: float, start: float = 0.0) -> dict:
    candidates = [{"gold": start}, {"gold": gold}, {"gold": gold - 1}]
    return {"rounds": [{"reference": {"gold": start}, "candidates": candidates}]}


def test_labels_needed_are_read_off_on_a_log_scale() -> None:
    curve = [(250.0, 1.0), (1_000.0, 3.0)]
    # halfway up, from 250 to 1000: their geometric mean
    assert labels_needed(curve, 2.0) == pytest.approx(500)
    assert labels_needed(curve, 3.0) == pytest.approx(1_000)
    assert labels_needed(curve, 0.5) == 250
    assert labels_needed(curve, 3.5) is None


def test_a_label_factor_is_the_ratio_of_labels_for_equal_gain() -> None:
    seeds = range(1, 7)
    loop = {250: {s: world(1.0) for s in seeds}, 1_000: {s: world(3.0) for s in seeds}}
    offline = {s: world(2.0) for s in seeds}
    factor = label_factor(loop, (2_000, offline), peak_gain)
    assert factor.value == pytest.approx(4)  # 2000 / 500
    assert factor.low == pytest.approx(4)  # no spread over seeds
    assert not factor.is_bound
    assert label_factor(loop, (2_000, {s: world(4.0) for s in seeds}), peak_gain).value is None
    assert label_factor(loop, (2_000, {s: world(0.5) for s in seeds}), peak_gain).is_bound


def test_differences_are_paired_by_seed() -> None:
    one = {1: world(2.0), 2: world(5.0, start=1.0), 3: world(9.0)}
    other = {1: world(1.0), 2: world(3.0, start=1.0)}
    difference, ahead = paired_difference(one, other, peak_gain)
    # 2 - 1 = 1 and 4 - 2 = 2: mean 1.5, standard error sqrt(.5 / 2) = .5
    assert (difference.value, difference.error, difference.num) == pytest.approx((1.5, 0.5, 2))
    assert difference.in_errors == pytest.approx(3)
    assert ahead == 2
    assert math.isnan(estimate([1.0]).error)
