"""Performs a script for `render`: each step's speech is fed to the off-line playout. One asyncio loop, own thread.

Two tasks: one writes and synthesises the steps, a few ahead; the other feeds them, each after the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

from broadcaster.errors import BrainError, RenderError, VoiceError
from broadcaster.playout.offline import Fed, Finish, Idle
from broadcaster.ports import Gate, Mind, Speaker
from broadcaster.script import Pause, Speech, Step
from broadcaster.types import Inbound, Origin, PromptKind, Role, SpokenPiece, VerdictKind
from broadcaster.wire import End, Speak, pack_speech

LEAD_IN_S = 0.6
BETWEEN_S = 0.5
AHEAD = 4
"""Steps prepared ahead: enough to keep voice and encoder busy at once, little enough to hold in memory."""
ORIGIN = Origin("script", role=Role.OPERATOR)

GENERATION = 1
"""Nothing is interrupted off line."""


class Rehearsal:
    """`aired(utterance)` must be called (in the loop) when playout reports an utterance as done."""

    def __init__(self, speaker: Speaker, mind: Mind, gate: Gate, feed: Callable[[Fed], None], fps: int) -> None:
        self._speaker = speaker
        self._mind = mind
        self._gate = gate
        self._feed = feed
        self._fps = fps
        self._done: dict[str, asyncio.Event] = {}

    async def perform(self, steps: Sequence[Step]) -> None:
        """Raises RenderError that names the line whose step failed."""
        prepared: asyncio.Queue[list[Fed] | None] = asyncio.Queue(AHEAD)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._prepare(steps, prepared))
                group.create_task(self._play(prepared))
        except* RenderError as failed:
            raise failed.exceptions[0] from None

    def aired(self, utterance: str) -> None:
        self._done[utterance].set()

    async def _prepare(self, steps: Sequence[Step], prepared: asyncio.Queue[list[Fed] | None]) -> None:
        await prepared.put([self._idle(LEAD_IN_S)])
        for number, step in enumerate(steps):
            if isinstance(step, Pause):
                await prepared.put([self._idle(step.seconds)])
                continue
            try:
                await prepared.put([*await self._speech(f"s{number}", step), self._idle(BETWEEN_S)])
            except (VoiceError, BrainError) as err:
                raise RenderError(f"script line {step.line}: {err}") from err
        await prepared.put(None)

    async def _play(self, prepared: asyncio.Queue[list[Fed] | None]) -> None:
        while (items := await prepared.get()) is not None:
            for item in items:
                self._feed(item)
                if isinstance(item, End):
                    await self._done[item.utterance].wait()
        self._feed(Finish())

    async def _speech(self, name: str, step: Speech) -> list[Fed]:
        self._done[name] = asyncio.Event()
        text = await self._admitted(name, step)
        pieces: list[Fed] = [_message(name, piece) async for piece in self._speaker.speak(_once(text), GENERATION)]
        if not pieces:
            raise VoiceError("nothing of this can be spoken")
        if step.kind is PromptKind.ASK:
            self._mind.heard(Inbound(name, step.kind, step.text, ORIGIN), 0, text)
        return [*pieces, End(GENERATION, name)]

    async def _admitted(self, name: str, step: Speech) -> str:
        text = step.text
        if step.kind is PromptKind.ASK:
            text = await self._answer(Inbound(name, step.kind, step.text, ORIGIN))
        verdict = await self._gate.admit(text, Origin("brain") if step.kind is PromptKind.ASK else ORIGIN)
        if verdict.kind in (VerdictKind.DROP, VerdictKind.HOLD):
            raise BrainError(f"the gate does not let this pass: {verdict.reason}")
        return verdict.text

    async def _answer(self, prompt: Inbound) -> str:
        async with aclosing(self._mind.reply(prompt)) as reply:  # type: ignore[type-var]
            text = brain = ""
            async for part in reply:
                text = text + part.text if part.brain == brain else part.text  # another one begins anew
                brain = part.brain
            return text

    def _idle(self, seconds: float) -> Idle:
        return Idle(round(seconds * self._fps))


def _message(utterance: str, piece: SpokenPiece) -> Speak:
    pcm, phones = pack_speech(piece.speech)
    return Speak(GENERATION, utterance, piece.sentence, piece.opens, pcm, phones, piece.engine)


async def _once(text: str) -> AsyncIterator[str]:
    yield text
