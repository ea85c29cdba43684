"""Prometheus metrics of one channel, made from the station's status when they are scraped. Director process.

A registry of its own: nothing global, so several channels' consoles can live in one test process. No label holds
viewers' text, an address or a secret: labels are sink names, message kinds and fixed words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from broadcaster.latency import Latencies
from broadcaster.telemetry.processes import channel_processes

SINK_STATES: Final = ("off", "paused", "connecting", "live", "waiting", "suspended", "failed")

_CLOCK: Final = (
    ("counter", "frames", "tick", "Pictures played out: the tick counter of the channel"),
    ("counter", "late_ticks", "late_ticks", "Ticks that ran later than their time"),
    ("counter", "held_ticks", "held_ticks", "Ticks that repeated the last picture"),
    ("counter", "reanchored", "reanchored", "Times the clock was set anew after a long stall"),
    ("counter", "encoder_restarts", "encoder_restarts", "Encoders replaced on air"),
    ("counter", "speech_holes", "holes", "Silences inside an utterance that are not its own pauses"),
    ("counter", "speech_hole_milliseconds", "hole_ms", "Length of those silences together"),
    ("counter", "patches_shown", "patches_shown", "Mouth patches shown"),
    ("counter", "patches_missing", "patches_missing", "Ticks of speech without a mouth patch"),
    ("counter", "patches_late", "patches_late", "Mouth patches that came too late and were dropped"),
    ("gauge", "av_skew_ms", "av_skew_ms", "Sound minus picture at the encoder, milliseconds"),
    ("gauge", "tick_ms", "tick_ms", "Mean work per tick over the last second, milliseconds"),
    ("gauge", "tick_lateness_p99_ms", "lateness_p99_ms", "99th percentile of tick lateness, milliseconds"),
    ("gauge", "speech_queued_ms", "queued_ms", "Speech in hand that has not been aired, milliseconds"),
    ("gauge", "playout_uptime_seconds", "uptime_s", "Age of the playout process"),
    ("gauge", "playout_connected", "connected", "1 while the director is connected to playout"),
)
_HEAD: Final = (
    ("gauge", "head_connected", "connected", "1 while a talking-head process is connected"),
    ("gauge", "head_degraded", "degraded", "1 while the head runs on a fallback"),
    ("gauge", "head_render_ms", "render_ms", "Mean time of one mouth patch, milliseconds"),
    ("counter", "head_rendered", "rendered", "Mouth patches rendered"),
    ("counter", "head_skipped", "skipped", "Mouth patches skipped by a late head"),
)
_SINK: Final = (
    ("gauge", "sink_queue_ms", "queue_ms", "Media waiting to be sent, milliseconds"),
    ("gauge", "sink_kbps", "kbps", "Bit rate of the last seconds, kbit/s"),
    ("gauge", "sink_congestion", "congestion", "Queue over the drop threshold, 0 to 1"),
    ("gauge", "sink_session_age_seconds", "uptime_s", "Age of the running connection or file"),
    ("gauge", "sink_retry_in_seconds", "retry_in_s", "Time to the next try"),
    ("counter", "sink_frames", "total_frames", "Pictures handed to the sink"),
    ("counter", "sink_dropped_frames", "dropped_frames", "Pictures dropped by the sink's queue"),
    ("counter", "sink_bytes", "bytes", "Bytes sent"),
    ("counter", "sink_reconnects", "reconnects", "Connections after the first"),
)


class TooManyClients(Exception):
    """The bound on websocket clients of one kind is reached."""


class Metrics(Collector):
    """Counts what the console itself sees and renders everything on demand."""

    def __init__(self, processes: Callable[[], Iterable[tuple[str, int]]] = channel_processes) -> None:
        self._processes = processes
        self._prompts: Counter[tuple[str, str]] = Counter()
        self._clients: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._status: dict[str, Any] = {}
        self._latencies = Latencies()
        self.refusals: Counter[str] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def count_prompt(self, kind: str, answer: dict[str, Any]) -> None:
        result = str(answer["code"]) if answer["type"] == "error" else str(answer["type"])
        self._prompts[kind, result] += 1

    def slow(self, socket: str) -> None:
        """A websocket client was dropped because it did not read."""
        self._slow[socket] += 1

    @contextmanager
    def client(self, socket: str, limit: int | None) -> Iterator[None]:
        """Counts one websocket client while it is there. Raises TooManyClients at `limit` (None: no limit)."""
        if limit is not None and self._clients[socket] >= limit:
            raise TooManyClients(f"{limit} clients are connected already; try again later")
        self._clients[socket] += 1
        try:
            yield
        finally:
            self._clients[socket] -= 1

    def render(self, status: dict[str, Any], latencies: Latencies | None = None) -> bytes:
        """Prometheus text format 0.0.4 for a `Station.status()`. Blocks some milliseconds: call it in a thread."""
        self._status = status
        self._latencies = latencies or Latencies()
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield from _table(_CLOCK, status.get("clock"))
        head = status.get("head") or {}
        yield from _table(_HEAD, head)
        yield _labelled("head_events", "What the talking head counts", "event", head.get("counts") or {})
        yield _gauge("panicked", "1 while the channel is in panic", status.get("panicked"))
        yield _gauge("voice_degraded", "1 while the voice runs on a fallback", _of(status, "voice", "degraded"))
        yield from _voices((status.get("voice") or {}).get("links") or ())
        yield _gauge("brain_degraded", "1 while the brain runs on a fallback", _of(status, "brain", "degraded"))
        yield from _brains(status.get("brain") or {})
        yield _gauge("queue_length", "Prompts that wait", _of(status, "queue", "length"))
        yield _gauge("queue_capacity", "Prompts that may wait", _of(status, "queue", "capacity"))
        yield _gauge("director_uptime_seconds", "Age of the director process", status.get("uptime_s"))
        yield from _sources(status.get("sources") or ())
        yield from _moderation(status.get("moderation") or {})
        yield from _moderators(status.get("moderators") or {})
        yield from _room(status.get("room") or {}, status.get("queue") or {})
        yield from _sinks(status.get("sinks") or ())
        yield _labelled("events", "What became of prompts, by any way", "event", status.get("counters") or {})
        yield from _stages(self._latencies)
        yield from self._own()

    def _own(self) -> Iterator[Metric]:
        prompts = CounterMetricFamily(
            "broadcaster_prompts", "Messages to the console and their answers", labels=("kind", "result")
        )
        for (kind, result), count in sorted(self._prompts.items()):
            prompts.add_metric((kind, result), count)
        yield prompts
        yield _labelled("console_refusals", "Requests refused before their route", "error", self.refusals)
        yield _labelled("console_slow_clients", "Websocket clients dropped for not reading", "socket", self._slow)
        clients = GaugeMetricFamily("broadcaster_console_clients", "Websocket clients", labels=("socket",))
        for socket, count in sorted(self._clients.items()):
            clients.add_metric((socket,), count)
        yield clients
        memory = GaugeMetricFamily(
            "broadcaster_resident_bytes", "Resident memory of the channel's processes", labels=("role",)
        )
        totals: Counter[str] = Counter()
        for role, resident in self._processes():
            totals[role] += resident
        for role, resident in sorted(totals.items()):
            memory.add_metric((role,), resident)
        yield memory


def _voices(links: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "broadcaster_voice_state", "1 for the state the voice's breaker is in", labels=("voice", "state")
    )
    pieces = CounterMetricFamily(
        "broadcaster_voice_pieces",
        "Pieces of speech spoken (the cache counts) and failed",
        labels=("voice", "result"),
    )
    for link in links:
        for name in ("closed", "open", "half_open"):
            state.add_metric((link["name"], name), float(link["state"] == name))
        pieces.add_metric((link["name"], "spoken"), float(link["spoken"]))
        pieces.add_metric((link["name"], "failed"), float(link["failures"]))
    yield state
    yield pieces


def _brains(brain: dict[str, Any]) -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "broadcaster_brain_state", "1 for the state the brain's breaker is in", labels=("brain", "state")
    )
    answers = CounterMetricFamily(
        "broadcaster_brain_answers", "Answers that came in full, and tries that failed", labels=("brain", "result")
    )
    for link in (*(brain.get("links") or ()), *(brain.get("end_to_end") or ())):
        for name in ("closed", "open", "half_open"):
            state.add_metric((link["name"], name), float(link["state"] == name))
        answers.add_metric((link["name"], "answered"), float(link["answered"]))
        answers.add_metric((link["name"], "failed"), float(link["failures"]))
    yield state
    yield answers
    budget = brain.get("budget") or {}
    tokens = GaugeMetricFamily(
        "broadcaster_brain_tokens_today", "Tokens of the day's questions and answers", labels=("brain", "kind")
    )
    cost = GaugeMetricFamily(
        "broadcaster_brain_cost_today", "What the day's answers cost", labels=("brain", "currency")
    )
    for link in budget.get("links") or ():
        tokens.add_metric((link["name"], "question"), float(link["prompt_tokens"]))
        tokens.add_metric((link["name"], "answer"), float(link["completion_tokens"]))
        cost.add_metric((link["name"], budget["currency"]), float(link["cost"]))
    yield tokens
    yield cost


def _moderation(moderation: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("moderation_words", "Words that are looked for", moderation.get("words"))
    yield _gauge("moderation_lists_broken", "1 while the word lists cannot be read", bool(moderation.get("error")))
    verdicts = CounterMetricFamily(
        "broadcaster_moderation_verdicts",
        "Texts judged: glance (all that comes in), in (what may be answered), out (what the host would say)",
        labels=("direction", "verdict"),
    )
    for key, count in sorted((moderation.get("verdicts") or {}).items()):
        direction, _, verdict = key.partition("_")
        verdicts.add_metric((direction, verdict), count)
    yield verdicts
    yield _labelled("moderation_reasons", "Why texts did not pass", "reason", moderation.get("reasons") or {})
    endpoint = moderation.get("endpoint") or {}
    asked = CounterMetricFamily(
        "broadcaster_moderation_requests", "Requests to the moderation endpoint", labels=("result",)
    )
    asked.add_metric(("answered",), float(endpoint.get("asked", 0) - endpoint.get("failures", 0)))
    asked.add_metric(("failed",), float(endpoint.get("failures", 0)))
    yield asked


def _moderators(moderators: dict[str, Any]) -> Iterator[Metric]:
    yield _gauge("held_prompts", "Prompts that wait for a moderator", moderators.get("held"))
    yield _gauge("bans", "Viewers of whom nothing is taken", moderators.get("bans"))
    yield _gauge("auto_paused", "1 while only moderators decide what goes on air", moderators.get("paused"))
    yield _gauge("slow_mode_seconds", "Seconds in which one comment of each viewer counts", moderators.get("slow_s"))
    yield _labelled("moderator_commands", "What moderators did", "command", moderators.get("commands") or {})


def _sources(sources: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    up = GaugeMetricFamily("broadcaster_source_up", "1 while the source is connected", labels=("source", "type"))
    restarts = CounterMetricFamily(
        "broadcaster_source_restarts", "Runs of the source after the first", labels=("source",)
    )
    posts = CounterMetricFamily("broadcaster_source_posts", "Posts received, by kind", labels=("source", "kind"))
    events = CounterMetricFamily(
        "broadcaster_source_events",
        "What else the source counts: garbage, refusals, reconnections",
        labels=("source", "event"),
    )
    for source in sources:
        if source["state"] == "off":
            continue
        name = source["name"]
        up.add_metric((name, source["type"]), float(source["state"] == "live"))
        restarts.add_metric((name,), float(source["restarts"]))
        for kind, count in sorted(source["kinds"].items()):
            posts.add_metric((name, kind), float(count))
        for event, count in sorted(source["counters"].items()):
            events.add_metric((name, event), float(count))
    yield from (up, restarts, posts, events)


def _room(room: dict[str, Any], queue: dict[str, Any]) -> Iterator[Metric]:
    dropped = CounterMetricFamily(
        "broadcaster_room_dropped",
        "Posts that will not go on air: before the desk (shed), at the desk, in the queue (by class)",
        labels=("where", "reason"),
    )
    for kind, count in sorted((room.get("shed") or {}).items()):
        dropped.add_metric(("shed", kind), float(count))
    for where, part in (("desk", room.get("dropped")), ("queue", queue.get("drops"))):
        for reason, count in sorted((part or {}).items()):
            dropped.add_metric((where, reason), float(count))
    yield dropped
    yield _labelled(
        "room_merged", "Comments that were answered together with another", "lane", queue.get("merged") or {}
    )
    disk = GaugeMetricFamily("broadcaster_room_on_disk", "Paid posts that wait on disk", labels=("lane",))
    for lane, count in sorted((room.get("on_disk") or {}).items()):
        disk.add_metric((lane,), float(count))
    yield disk
    yield _labelled(
        "room_paid_skipped", "Paid posts of which no prompt was made", "reason", room.get("skipped") or {}
    )
    yield _gauge("room_paid_owed", "Paid posts that the journal has not taken yet", room.get("owed"))
    for name, text in (
        ("refused", "Paid posts that were refused because the journal took nothing"),
        ("lost", "Paid posts that were lost because the journal took nothing for too long"),
    ):
        yield CounterMetricFamily(f"broadcaster_room_paid_{name}", text, value=float(room.get(name) or 0))
    yield _gauge("room_viewers", "Viewers that are remembered", room.get("viewers"))


def _stages(latencies: Latencies) -> Iterator[Metric]:
    stages = HistogramMetricFamily(
        "broadcaster_stage_seconds",
        "Time on the way to air by the stage at its end, of first and of later packages",
        labels=("stage", "package"),
    )
    for (stage, package), histogram in sorted(latencies.stages.items()):
        stages.add_metric((stage, package), histogram.buckets(), histogram.total)
    yield stages
    yield HistogramMetricFamily(
        "broadcaster_package_margin_seconds",
        "How long before it was due a later package was with playout; negative: silence was heard instead",
        buckets=latencies.margin.buckets(),
        sum_value=latencies.margin.total,
    )
    yield CounterMetricFamily(
        "broadcaster_late_packages", "Later packages that came too late: silence in mid-utterance", latencies.late
    )


def _sinks(sinks: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    sinks = list(sinks)
    state = GaugeMetricFamily(
        "broadcaster_sink_state", "1 for the state the sink is in", labels=("sink", "type", "state")
    )
    for sink in sinks:
        for name in SINK_STATES:
            state.add_metric((sink["name"], sink["type"], name), float(sink["state"] == name))
    yield state
    for kind, name, key, text in _SINK:
        family = _family(kind, name, text, ("sink",))
        for sink in sinks:
            family.add_metric((sink["name"],), float(sink.get(key) or 0))
        yield family


def _table(rows: Iterable[tuple[str, str, str, str]], values: dict[str, Any] | None) -> Iterator[Metric]:
    for kind, name, key, text in rows:
        family = _family(kind, name, text, ())
        family.add_metric((), float((values or {}).get(key) or 0))
        yield family


def _labelled(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"broadcaster_{name}", text, labels=(label,))
    for key, count in sorted(counts.items()):
        family.add_metric((key,), count)
    return family


def _gauge(name: str, text: str, value: Any) -> Metric:
    return GaugeMetricFamily(f"broadcaster_{name}", text, value=float(value or 0))


def _family(kind: str, name: str, text: str, labels: tuple[str, ...]) -> CounterMetricFamily | GaugeMetricFamily:
    family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    return family(f"broadcaster_{name}", text, labels=labels)


def _of(status: dict[str, Any], section: str, key: str) -> Any:
    return (status.get(section) or {}).get(key)
