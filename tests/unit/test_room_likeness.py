"""Finding what says the same among much that does not."""

from __future__ import annotations

import pytest

from broadcaster.inbox.likeness import Alike, shape_of

pytestmark = pytest.mark.unit


def test_a_question_that_shares_its_first_words_with_several() -> None:
    alike = Alike(0.8)
    for number, text in enumerate(("主播今天晚上几点下播", "主播今天晚上唱什么歌", "主播今天晚上吃什么饭")):
        alike.add(str(number), shape_of(text))
    assert alike.find(shape_of("主播今天晚上几点才下播")) == "0"
    assert alike.find(shape_of("主播今天晚上去不去北京")) is None
