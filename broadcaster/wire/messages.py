"""What the processes say to each other: one frozen struct per message, whose name is its tag on the wire.

Pure data, imported by every process, the parent too: no numpy here. The table of who says what to whom is in
`broadcaster.wire`.
"""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, tag_field="$"):
    """Base of every message; the struct's name is its tag on the wire."""


class Hello(Message, frozen=True):
    """First message of a peer that connects (and of the voice to whoever connected): who am I, am I ready."""

    role: str  # "director", "head", "voice", "voice-local", "cli"
    engine: str = ""
    ready: bool = True
    """Local voice: false while its model loads, which takes minutes; it closes the connection then."""
    lead_ticks: int = 2
    """Head: how many ticks of patches must be in hand before an utterance starts (k of the design)."""


class Welcome(Message, frozen=True):
    """Playout's answer to Hello."""

    tick: int
    fps: int
    loop_frames: int
    generation: int
    """Highest generation playout has seen: a director that restarts goes on above it."""


class Speak(Message, frozen=True):
    """Speech of one piece. Pieces of one utterance arrive in order and are joined without a gap.

    `pcm` is s16le mono 48 kHz; phones are (symbol, viseme, start, end) in samples of this piece.
    `opens` is the sentence's text on the first piece of that sentence. `package` numbers the packages of an
    utterance, each of one or several pieces; -1: nobody wants to know when it was on air.
    """

    generation: int
    utterance: str
    sentence: int
    opens: str | None
    pcm: bytes
    phones: list[tuple[str, str, int, int]]
    engine: str = ""
    package: int = -1


class End(Message, frozen=True):
    """No more speech for this utterance."""

    generation: int
    utterance: str


class Trim(Message, frozen=True):
    """Nothing of this utterance is to be heard behind that sentence: what is in hand of it is dropped, and it is
    complete. A later sentence that has begun ends first; when that one may not be whole, this is ignored (its
    "on_air" tells it). -1: all of it that has not begun.

    `samples`, playout to head: so many of the utterance remain, as the head counts them.
    """

    generation: int
    utterance: str
    sentence: int
    samples: int = -1


class Cut(Message, frozen=True):
    """Everything of a generation lower than this is dropped; what sounds now fades out in 10 ms."""

    generation: int


class Panic(Message, frozen=True):
    """Silence and idle picture while `on`; also cuts. Idempotent."""

    on: bool
    generation: int


class Anchor(Message, frozen=True):
    """Playout to head: speech of this utterance from `first_sample` on starts at `first_tick`.

    A new anchor (higher `epoch`) replaces the older one: what was rendered for it is void.
    """

    generation: int
    utterance: str
    epoch: int
    first_tick: int
    first_sample: int


class Window(Message, frozen=True):
    """Playout to head, every few ticks while talking: it is `now`; render nothing beyond `through`."""

    now: int
    through: int


class Patch(Message, frozen=True):
    """A `MouthPatch` on the wire: box as (x, y, width, height)."""

    generation: int
    epoch: int
    tick: int
    base: int
    box: tuple[int, int, int, int]
    planes: bytes


class HeadStatus(Message, frozen=True):
    engine: str
    degraded: bool
    rendered: int
    skipped: int
    render_ms: float
    """Mean time of one patch over the last second of work."""
    note: str = ""
    step: str = ""
    """How far the head has stepped down to keep up: "" (in full), "half", "third", or the engine that stands in."""
    counts: dict[str, int] = {}
    """Since the start: interpolated, stepped_down, stepped_up, and what the engine itself counts."""


class Aired(Message, frozen=True):
    """What was really heard. `event`: "on_air" (a sentence begins), "heard" (a sentence ended in full),
    "done" (the utterance ended in full), "cut" (the utterance ended early).

    `tick` is when; `samples` how much of that sentence was heard; `wall_ns` is wall-clock time.
    """

    event: str
    generation: int
    utterance: str
    sentence: int
    text: str
    engine: str
    tick: int
    samples: int
    wall_ns: int


class PackageOnAir(Message, frozen=True):
    """The first sample of a package is on air; for the trace, never told twice. Times are CLOCK_MONOTONIC in ns.

    `arrived_ns`: its first piece was read; `free_ns`: nothing of an earlier utterance was on air any more (when it
    came, if nothing was; 0 for packages that do not begin an utterance); `lips_ns`: the mouth of its first tick came
    (0: it began without); `on_air_ns`: the tick with its first sample was made. `gap_ms`: silence right before it in
    mid-utterance, because it came too late.
    """

    generation: int
    utterance: str
    package: int
    arrived_ns: int
    free_ns: int
    lips_ns: int
    on_air_ns: int
    gap_ms: int = 0


class SinkStatus(Message, frozen=True):
    """What OBS shows for an output. `state`: "off", "paused", "connecting", "live", "waiting",
    "suspended" (refused three times: a slow try every 5 minutes), "failed"."""

    name: str
    type: str
    state: str
    address: str
    """Without its key."""
    kbps: float = 0.0
    dropped_frames: int = 0
    total_frames: int = 0
    congestion: float = 0.0
    """0..1: queued ms over the drop threshold."""
    queue_ms: int = 0
    uptime_s: float = 0.0
    reconnects: int = 0
    bytes: int = 0
    retry_in_s: float = 0.0
    error: str = ""


class PlayoutStatus(Message, frozen=True):
    """Once a second, and the source of `/metrics`, `status` and the page."""

    tick: int
    fps: int
    late_ticks: int
    held_ticks: int
    reanchored: int
    tick_ms: float
    """Mean work per tick over the last second."""
    lateness_p99_ms: float
    encoder: str
    encoder_restarts: int
    talking: str
    """Utterance on air, or empty."""
    queued_ms: int
    """Speech in hand that has not been aired."""
    holes: int
    hole_ms: int
    patches_shown: int
    patches_missing: int
    patches_late: int
    av_skew_ms: float
    head: HeadStatus | None
    sinks: list[SinkStatus]
    panicked: bool
    uptime_s: float
    faults: int = 0
    """Ticks and messages that raised: bugs that the picture survived."""
    lead_ticks: int = 0
    """Pictures the head must have made before a piece of sound may begin; 0 without a head."""


class SinkCommand(Message, frozen=True):
    """`action`: "add" and "change" carry `settings` (the sink's YAML mapping); "pause", "resume", "stop" and
    "remove" only a name; "reset" forgets what was changed on air and goes back to the configuration.

    "reload" carries the whole list of configured sinks in `all_settings`.
    """

    request: str
    action: str
    name: str = ""
    settings: dict[str, object] | None = None
    all_settings: list[dict[str, object]] | None = None


class SinkReply(Message, frozen=True):
    request: str
    ok: bool
    error: str = ""


class Synthesise(Message, frozen=True):
    """Director to voice. Requests are answered in order; one is worked on at a time.

    `wish` is a voice that the message asked for: used instead of `voice` where the engine has it for that language.
    """

    request: int
    generation: int
    text: str
    language: str
    voice: str
    speed: float
    pitch: float = 0.0
    """Semitones."""
    wish: str = ""


class Synthesised(Message, frozen=True):
    """`pcm` is s16le mono, phones as in Speak, counted in its samples. `seconds`: time since the request was begun.

    From the voice it is finished speech at 48 kHz, trimmed of silence; from the local voice it is raw sound as the
    engine made it, at `rate`. `more`: another answer to this request follows; the last one may be empty.
    """

    request: int
    pcm: bytes
    phones: list[tuple[str, str, int, int]]
    engine: str
    seconds: float
    rate: int = 48_000
    more: bool = False


class SynthesisFailed(Message, frozen=True):
    request: int
    error: str
    retryable: bool
    cancelled: bool = False


class Cancel(Message, frozen=True):
    """Requests of a generation lower than this are dropped, the running one too."""

    generation: int


class Beat(Message, frozen=True):
    """A child's sign of life to the parent, once a second. `progress` must advance while the child is well:
    playout's tick, a loop counter elsewhere."""

    role: str
    progress: int
    ready: bool = True
    note: str = ""


class Restart(Message, frozen=True):
    """The director asks the parent to kill and restart a child that no longer answers."""

    role: str
    reason: str


class Notice(Message, frozen=True):
    """The parent tells the director what became of a child ("started", "exited", "hung", "gave_up"), or "reload"."""

    event: str
    role: str
    detail: str = ""


AnyMessage = (
    Hello | Welcome | Speak | End | Trim | Cut | Panic | Anchor | Window | Patch | HeadStatus | Aired
    | PackageOnAir | PlayoutStatus | SinkStatus | SinkCommand | SinkReply | Synthesise | Synthesised
    | SynthesisFailed | Cancel | Beat | Restart | Notice
)  # fmt: skip
