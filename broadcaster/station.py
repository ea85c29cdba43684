"""What the console, the command line and the sources may do with a running channel.

The `Station` is the director's face; it lives in the director's asyncio loop and none of its calls blocks it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from broadcaster.latency import Latencies
from broadcaster.types import PLAIN, Happening, Inbound, Manner, Origin, PromptKind, Viewer
from broadcaster.wire import SinkReply

MAX_RECORDING_BYTES: Final = 10 * 1024 * 1024
"""Of a recorded question: a minute of uncompressed CD sound."""


class Events(Protocol):
    """A subscription. Ends (StopAsyncIteration) after `aclose` and at the end of the daemon."""

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]: ...

    async def __anext__(self) -> dict[str, Any]: ...

    async def aclose(self) -> None: ...


class Station(Protocol):
    """One channel. `director.Director` is the implementation; `sources.websocket.PromptDesk` is a part of it.

    Refusals are `errors.Refused` with a `code` (`sources.schema.ErrorCode`) and a text for people.
    """

    async def accept(
        self,
        kind: PromptKind,
        text: str,
        origin: Origin,
        manner: Manner = PLAIN,
        *,
        viewer: Viewer | None = None,
        resumable: bool = False,
        happening: Happening | None = None,
        recording: str = "",
    ) -> Inbound:
        """Queues a text that is to be said in that manner. It is in the journal, synced to disk, when this returns.

        Who may ask for air time is for the source to decide; `origin.role` only says who comes first. `viewer` is
        who asks. `resumable`: cut by another prompt or by a restart, it goes on where it was cut. `happening` is what
        happened, for PromptKind.EVENT, whose text is made of it.
        `recording` is what `attach` returned; the text then says what the recorded question is about.
        Refused: panicked, full, too_long, empty, journal, stopping; refused (a recording that is not there).
        """

    async def attach(self, data: bytes, by: Origin) -> str:
        """Keeps a recorded question (a sound file of up to 60 s) until it is asked; its name, for `accept`.

        It is deleted when its prompt is over, or after 10 minutes. Moderators and operators. Refused: forbidden,
        too_large, full, journal (it cannot be stored), refused (no sound, too long, or nobody here can listen).
        """

    async def interrupt(self, by: Origin) -> None:
        """Cuts what is being said; the queue goes on. Moderators and operators. Refused: forbidden."""

    async def panic(self, by: Origin) -> None:
        """Silence and idle picture, kept through restarts, until `resume`. Moderators and operators.

        Idempotent. Refused: forbidden; journal (then the panic is on, but would not survive a restart).
        """

    async def resume(self, by: Origin) -> None:
        """Ends the panic. Operators only. Refused: forbidden; journal (then the panic stays on)."""

    async def sink(self, command: dict[str, Any]) -> SinkReply:
        """Runs a `wire.SinkCommand` given as a mapping without `request`: `action`, `name`, `settings`.

        The reply's `error` is for people. Refused: unavailable (playout is away or does not answer), refused (not
        a sink command). The caller has checked that its user is an operator.
        """

    async def forget(self, viewer: str | None, by: Origin) -> int:
        """Deletes what is remembered about the viewer of that id, or of everybody; how many entries it was.

        Operators only. Refused: forbidden, journal.
        """

    async def queue(self, limit: int = 50) -> dict[str, Any]:
        """What is on its way to air, what waits and what is held, in order, as plain JSON types.

        `items`: up to `limit` of `{id, place, eta_s, lane, kind, text, viewer, name, paid, alike, state, reason,
        approved, why}` (see `sources.moderation.QueueItem`); `length` of the queue, `held`, `on_disk`, `paused`,
        `slow_s`, `delay_s`.
        """

    async def place(self, id: str) -> dict[str, Any]:
        """The item of one prompt, with its place and the estimated seconds until it is heard. Refused: unknown."""

    async def moderate(self, command: Mapping[str, Any], by: Origin) -> None:
        """Carries out a command of `sources.moderation`, given as a mapping with its `type`.

        It is in the journal of decisions, with `by`, when this returns. Moderators and operators. Refused: forbidden,
        unknown (no such prompt or ban), refused (not now), empty, too_long, journal (what should last cannot be
        stored; then it does not hold).
        """

    def bans(self) -> list[dict[str, Any]]:
        """Who is banned: `{viewer, name, by, at_ns, left_s}`, the newest first."""

    def subscribe(self) -> Events:
        """Outbound events of `sources.schema` (`pending`, `on_air`, `held`, `done`, `cut`, `skipped`, `status`) from
        now on.

        Subscribed at the call, not at the first `anext`; ended by `aclose` or by the end of the daemon. A
        subscriber that lags loses its oldest events, and the loss is counted (`counters.events_lost`).
        """

    def status(self) -> dict[str, Any]:
        """Everything `/api/status` shows, as plain JSON types:

        - `channel`, `version`, `uptime_s` (of the director), `pid`, `panicked`, `stopping`
        - `clock`: `connected`, `tick`, `fps`, `late_ticks`, `held_ticks`, `reanchored`, `tick_ms`,
          `lateness_p99_ms`, `encoder`, `encoder_restarts`, `av_skew_ms`, `uptime_s`, `queued_ms`, `holes`, `hole_ms`,
          `patches_shown`, `patches_missing`, `patches_late`
        - `voice`: `engine` (that spoke last), `degraded`, `error`, `links`: list of `{name, state, spoken, failures,
          error}` in the order of asking; state is closed (in use), open (left alone) or half_open (about to be tried)
        - `head`: `connected`, `engine`, `degraded`, `rendered`, `skipped`, `render_ms`, `note`,
          `step` ("" in full, half, third, or the engine that stands in for one that is too slow), `counts`
        - `brain`: as `ports.Mind.status` says, and `end_to_end`: list of `{name, state, answered, failures, error}`
        - `sources`: list of `{name, type, state, error, note, retry_in_s, restarts, received, paid, kinds, counters,
          recording}`; state is off, connecting, live, waiting (for its next try) or failed (it cannot work as it is
          set up); `kinds` counts posts by kind, `counters` are its own
        - `sinks`: list of `wire.SinkStatus` as mappings
        - `now`: None or `{id, kind, lane, sentence, text, origin, author}`; `next`: up to 5 of
          `{id, kind, lane, text, origin, author, held}` (`held`: it was cut and goes on); `queue`: `{length,
          capacity, drops, merged}` (the last two of the audience: counts by "class:reason" and by class)
        - `journal`: `{ok, error}`
        - `moderation`: `words`, `files`, `error` of the lists; `verdicts` by "glance", "in" or "out" and kind
          ("in_hold"), `reasons` by check; `endpoint`: None or `{place, state, asked, failures, error}`
        - `moderators`: what they have decided: `paused`, `slow_s`, `delay_s`; how many are `held` and `bans`;
          `commands` by name
        - `turn`: None or how long the last turn took: `{id, total_ms, own_ms, packages, late, least_margin_ms}`
        - `room`: what the audience sends: `received` (free) and `paid` by kind; `taken`, and `dropped` by reason;
          `shed` by kind (more came than could be looked at), `looking` (not looked at yet), `faults`; of what was
          paid for: `on_disk` by class, `refused` and `owed` (the journal took nothing), `lost`, `twice`, `skipped`
          by reason; `viewers` in memory
        - `counters`: name -> int (accepted, refused, done, cut, held, skipped, interrupts, events_lost, ...)
        """

    def latencies(self) -> Latencies:
        """Histograms of how long everything took since the director began."""

    async def latency(self, turns: int | None = 100, since_ns: int | None = None) -> dict[str, Any]:
        """`latency.summary` of the last `turns` turns, or since a time (wall clock). Refused: journal."""

    async def asrun(self, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        """The as-run log, newest first; `before` is the `row` of the last one seen. See `journal.asrun_rows`."""
