"""What playout tells of sentences and utterances: on air, heard, done, cut. Tick thread only."""

from __future__ import annotations

import time
from collections.abc import Callable

from broadcaster.playout.utterance import Sentence, Utterance
from broadcaster.wire import Aired

Report = Callable[[Aired], None]


class Reports:
    def __init__(self, report: Report) -> None:
        self._report = report

    def sentences(self, current: Utterance, tick: int) -> None:
        """Those that have begun or ended with the sound that was taken up to `tick`."""
        for sentence in current.sentences:
            if not sentence.begun and sentence.start < current.aired:
                sentence.begun = True
                self._tell("on_air", current, sentence, tick, 0)
            closed = current.complete or sentence is not current.sentences[-1]
            if sentence.begun and not sentence.ended and closed and sentence.end <= current.aired:
                sentence.ended = True
                self._tell("heard", current, sentence, tick, sentence.end - sentence.start)

    def over(self, event: str, utterance: Utterance, tick: int) -> None:
        """The end of an utterance ("done" or "cut"), with the sentence that was open and how much of it was heard."""
        sentence = next((s for s in utterance.sentences if s.begun and not s.ended), None)
        heard = utterance.aired - sentence.start if sentence else 0
        self._tell(event, utterance, sentence, tick, heard)

    def _tell(self, event: str, utterance: Utterance, sentence: Sentence | None, tick: int, samples: int) -> None:
        self._report(
            Aired(
                event=event,
                generation=utterance.generation,
                utterance=utterance.id,
                sentence=sentence.index if sentence else -1,
                text=sentence.text if sentence else "",
                engine=sentence.engine if sentence else "",
                tick=tick,
                samples=samples,
                wall_ns=time.time_ns(),
            )
        )
