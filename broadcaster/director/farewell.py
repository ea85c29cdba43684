"""The end of a daemon on air: the sentence that is being said ends, or is cut. Director's event loop."""

from __future__ import annotations

from typing import Final

from broadcaster.director.pulse import Pulse
from broadcaster.director.rundown import Rundown
from broadcaster.director.utterance import Utterance

CUT_REPORT_SECONDS: Final = 0.3
"""Playout's word on where a cut fell is waited for so long."""


async def last_sentence(rundown: Rundown, pulse: Pulse, seconds: float) -> list[Utterance]:
    """Lets it end within `seconds`, or cuts it. All else that the rundown had is returned."""
    current = rundown.active[0] if rundown.active and rundown.active[0].sounding else None
    if current is not None and current.prompt.resumable:
        rundown.let_end(current)
        await pulse.until(lambda: current not in rundown.active, seconds)
        seconds = CUT_REPORT_SECONDS
    if current is not None:
        heard = current.heard
        await pulse.until(lambda: current not in rundown.active or current.heard > heard, seconds)
        if current.spoken and not current.pieces:  # that was its last: the report that it is done is on its way
            await pulse.until(lambda: current not in rundown.active, CUT_REPORT_SECONDS)
    return rundown.stop(current)


async def cut_reported(rundown: Rundown, pulse: Pulse) -> None:
    """Playout has said where the cut fell, or does not say it."""
    await pulse.until(lambda: rundown.nothing_leaving, CUT_REPORT_SECONDS)
