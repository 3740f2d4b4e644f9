"""The corpus is reproducible, mediocre on purpose, and leaves prompts unseen."""

import itertools
import random
from collections import Counter

import pytest

from training.algorithms.pretrain.corpus import (
    HELPFUL_SHARE,
    LENGTH_SHARES,
    ON_TOPIC_SHARE,
    TONE_SHARES,
    corpus_documents,
    demo_prompts,
    held_out_texts,
    ideal_answer,
)
from training.algorithms.pretrain.phrases import CLOSINGS, OPENINGS
from training.algorithms.pretrain.requests import request_index, request_list
from training.algorithms.pretrain.tokenizer import tokenizer_train
from training.algorithms.pretrain.topics import topic_list

NUM = 4000


def shown_prompts(seed, num=NUM):
    return {m["content"] for d in corpus_documents(seed, num) for m in d.messages}


def test_every_topic_has_everything_an_answer_needs():
    topics = topic_list()
    assert len(topics) >= 24
    assert len({topic.name for topic in topics}) == len(topics)
    for topic in topics:
        sizes = [len(part) for part in (topic.steps, topic.facts, topic.tips, topic.reasons)]
        assert sizes == [3, 2, 3, 2], topic.name
        assert all(fact.endswith(".") and fact[0].isupper() for fact in topic.facts)
        assert all(step[0].islower() and step[-1] not in ".!?" for step in topic.steps)


def test_a_seed_means_the_same_documents_and_a_smaller_number_a_prefix():
    assert list(corpus_documents(3, 50)) == list(corpus_documents(3, 80))[:50]
    assert list(corpus_documents(3, 50)) != list(corpus_documents(4, 50))


def test_attributes_have_their_shares_and_are_independent():
    drawn = [d.attributes for d in corpus_documents(1, NUM) if d.attributes is not None]
    # 4 standard deviations of a share from 4000 draws: 4 * sqrt(0.25 / 4000) = 0.032
    near = {"abs": 0.032}
    assert sum(a.on_topic for a in drawn) / len(drawn) == pytest.approx(ON_TOPIC_SHARE, **near)
    assert sum(a.helpful for a in drawn) / len(drawn) == pytest.approx(HELPFUL_SHARE, **near)
    for name, shares in (("tone", TONE_SHARES), ("length", LENGTH_SHARES)):
        counts = Counter(getattr(a, name) for a in drawn)
        for value, share in shares.items():
            assert counts[value] / len(drawn) == pytest.approx(share, **near)
    rude = [a for a in drawn if a.tone == "rude"]
    # about 1000 rude answers: 4 * sqrt(0.25 / 1000) = 0.063
    assert sum(a.helpful for a in rude) / len(rude) == pytest.approx(HELPFUL_SHARE, abs=0.063)


def test_every_answer_is_made_of_sentences():
    for document in corpus_documents(2, NUM):
        answer = document.answer
        assert answer[0].isupper(), answer
        assert answer[-1] in ".!?", answer
        assert "{" not in answer
        assert "  " not in answer
        assert ".." not in answer


def test_the_tone_can_be_read_off_the_answer():
    rude = {text.split("{")[0] for text in (*OPENINGS["rude"], *CLOSINGS["rude"])}
    for document in itertools.islice(corpus_documents(5, NUM), 500):
        if document.attributes is not None:
            is_rude = any(text in document.answer for text in rude)
            assert is_rude == (document.attributes.tone == "rude"), document.answer


def test_demo_prompts_are_distinct_and_half_of_them_are_never_shown():
    prompts = demo_prompts(1, 300)
    assert len(set(prompts)) == 300
    kept_out = [prompt for prompt in prompts if request_index()[prompt].is_kept_out]
    assert len(kept_out) == 150
    assert not set(kept_out) & shown_prompts(1)
    assert demo_prompts(1, 300) == prompts
    assert demo_prompts(2, 600) != prompts


def test_more_prompts_than_there_are_is_refused():
    available = len(request_list())
    assert len(set(demo_prompts(1, available))) == available
    with pytest.raises(ValueError, match=str(available)):
        demo_prompts(1, available + 1)


def test_an_ideal_answer_is_polite_short_and_about_the_topic():
    polite = {text.split("{")[0] for text in (*OPENINGS["polite"], *CLOSINGS["polite"])}
    for request in request_list():
        answer = ideal_answer(request.text, random.Random(request.text))
        assert any(text in answer for text in polite), answer
        assert len(answer.split()) <= 60, answer
        material = (*request.topic.facts, *request.topic.tips, *request.topic.steps)
        material = (*material, *request.topic.reasons)
        assert any(part[1:].rstrip(".") in answer for part in material), answer


def test_an_ideal_answer_to_an_unknown_prompt_makes_the_best_of_its_words():
    rng = random.Random(1)
    assert "coffee" in ideal_answer("Why does my coffee taste burnt?", rng).lower()
    assert "do not know" in ideal_answer("Prove Fermat's last theorem.", rng)
    assert ideal_answer("", rng)


def test_a_held_out_text_is_what_the_chat_template_makes_of_its_conversation() -> None:
    (document,) = corpus_documents(-2, 1)
    tokenizer = tokenizer_train(["some text"], 320, 512)
    messages = [*document.messages, {"role": "assistant", "content": document.answer}]
    (text,) = held_out_texts(1, 1)
    assert text == tokenizer.apply_chat_template(messages, tokenize=False)
