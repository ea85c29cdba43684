"""A thousand sentences in virtual time through a chain whose first two links fail at random: gaps, holes, starts.

Each utterance of five sentences begins in silence. A gap is silence between two sentences beyond the pause of the
punctuation; a hole is the same inside of a sentence. The time-outs are those of the configuration's defaults.
"""

from __future__ import annotations

import logging

from bench.run_tables import Row, spread, table
from broadcaster.speech import words
from tests.fakes.voice_links import once_and_in_order, said
from tests.support.thousand import perform


def run(*, quick: bool) -> list[Row]:
    words.load()
    logging.getLogger("broadcaster").setLevel(logging.ERROR)
    rows: list[Row] = []
    for failing in (0.0, 0.2, 0.35, 0.5):
        outcome = perform(100 if quick else 1000, failing=failing)
        wrong = once_and_in_order(outcome.ears.text, "".join(map(said, outcome.sentences)))
        name = f"{failing:.0%} of requests fail: "
        spoken = ", ".join(f"{link.name} {link.spoken}" for link in outcome.chain.links)
        rows.append(Row(f"{name}lost, doubled or out of order", len(wrong), "", 0, note=f"pieces: {spoken}"))
        rows += spread(f"{name}gap between sentences", [1000 * gap for gap in outcome.ears.gaps], "ms", p95=300)
        rows += spread(f"{name}hole in a sentence", [1000 * hole for hole in outcome.ears.holes], "ms")
        rows += spread(f"{name}first sound", [1000 * start for start in outcome.starts], "ms")
    table("Chain of two failing voices and a sure one, 1,000 sentences in virtual time", rows)
    return rows


if __name__ == "__main__":
    run(quick=False)
