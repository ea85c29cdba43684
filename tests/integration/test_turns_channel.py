"""A whole channel in which a question cuts in on a resumable text: what playout's own count of samples says."""

from __future__ import annotations

import pytest

from tests.support.channel import Channel

pytestmark = pytest.mark.integration

BRIDGE = "接着说。"
SENTENCES = ["这里是第一句话，它不算短。", "这里是第二句话，也不算短。"]
TURNS = {"say": {"cuts": "after_sentence"}, "bridge": [BRIDGE]}
TICK = 1920
PAUSE_TICKS = 12
"""Between two utterances: 4 pictures of a closing mouth, and the head's first pictures."""


def test_a_trimmed_sentence_is_heard_to_its_last_sample_and_the_next_prompt_follows_without_a_hole() -> None:
    with Channel(settings={"turns": TURNS, "voice": {"speed": 2.0}}) as channel:
        channel.send({"type": "say", "text": "".join(SENTENCES), "resumable": True, "ref": "long"})
        channel.wait_event("on_air")
        urgent = channel.say("插播一条消息。")
        prompt = channel.wait_event("held").event["id"]
        channel.wait_event("done", urgent)
        channel.wait_event("done", prompt)
        channel.until(lambda: channel.asrun()[0]["outcome"] == "heard", what="the log is written")
        rows = list(reversed(channel.asrun()))
        holes = channel.status()["clock"]["holes"]
    cut = [row for row in rows if row["prompt"] == prompt]
    assert {row["outcome"] for row in rows} == {"heard"}
    assert [row["text"].strip() for row in cut] == [SENTENCES[0], BRIDGE, *SENTENCES[1:]]
    ticks = cut[0]["end_tick"] - cut[0]["start_tick"]
    assert ticks <= cut[0]["samples"] / TICK <= ticks + 1
    order = [(row["prompt"], row["start_tick"], row["end_tick"]) for row in rows]
    (_, _, end), (other, start, _) = order[0], order[1]
    assert other == urgent
    assert 0 < start - end <= PAUSE_TICKS
    assert holes == 0
