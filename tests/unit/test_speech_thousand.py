"""A thousand sentences through a chain whose first two links fail at random: all heard, in order, once."""

from __future__ import annotations

import logging

import pytest

from broadcaster.speech import words
from tests.fakes.voice_links import FADED, FAULTS, once_and_in_order, said
from tests.support.thousand import perform

pytestmark = pytest.mark.unit

TEXT = "今天天气很好我们出门走走"


def test_the_ears_notice_what_is_missing_twice_or_out_of_order() -> None:
    assert once_and_in_order(TEXT, TEXT) == []
    assert once_and_in_order(TEXT[:5] + FADED + TEXT[2:], TEXT) == []
    assert once_and_in_order(TEXT[:5] + FADED + TEXT[6:], TEXT) != []
    assert once_and_in_order(TEXT[:4] + TEXT[5:], TEXT) != []
    assert once_and_in_order(TEXT[:4] + TEXT[2:], TEXT) != [], "said twice without a fade"
    assert once_and_in_order(TEXT[:-1], TEXT) != []
    assert once_and_in_order(TEXT[5:] + TEXT[:5], TEXT) != []


def test_a_thousand_sentences_are_heard_in_order_and_once(caplog: pytest.LogCaptureFixture) -> None:
    words.load()
    with caplog.at_level(logging.ERROR):
        outcome = perform(1000, failing=0.35)
    assert once_and_in_order(outcome.ears.text, "".join(map(said, outcome.sentences))) == []
    assert "".join(outcome.ears.openings) == "".join(outcome.sentences)
    assert len(outcome.ears.openings) > 700, "short sentences go together, and no others"
    assert outcome.chain.left_out == 0
    for link in outcome.links:
        assert set(link.faults) == set(FAULTS), "every fault has happened on every link"
        assert link.most_under_way == 2
    assert all(link.spoken > 50 for link in outcome.chain.links), "every link has spoken"
    assert outcome.chain.repeated > 5, "clauses were cut inside"
    assert {breaker.opened > 0 for breaker in outcome.breakers} == {True}
    assert outcome.last.cancelled > 0, "and the embedded voice was started in parallel"
