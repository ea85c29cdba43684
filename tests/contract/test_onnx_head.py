"""Engine onnx on the air of a virtual clock: idle to talk and back on a still and on a head that moves, cut, trimmed,
late; and what it says when its network is missing, slow or broken."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from broadcaster.config import HeadConfig
from broadcaster.doctor_head import weights
from broadcaster.errors import AssetError
from broadcaster.head.onnx.engine import OnnxHead, make, open_network
from broadcaster.head.process import run_head
from broadcaster.head.stepped import SteppedHead
from broadcaster.head.timeline import TRAIL_TICKS
from broadcaster.head.track import Track
from broadcaster.paths import Paths
from broadcaster.studio.avatar import ExpandedAvatar, expand
from broadcaster.types import MouthPatch, base_index
from broadcaster.wire import Anchor, Cut, End, Speak, Trim, Window
from tests.fakes.head_peer import HeadPeer
from tests.support.air import Composed, EngineHead, VirtualAir, air_of, differs_outside
from tests.support.clips import make_clip_avatar
from tests.support.engines import engine_named
from tests.support.faces import PhoneRow, babble, host, track_of, voiced
from tests.support.onnx_files import Graph
from tests.support.onnx_heads import WAV2LIP, feathertalk, wav2lip, write

pytestmark = pytest.mark.contract

TICK = 1920


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    return host(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def mover(tmp_path_factory: pytest.TempPathFactory) -> ExpandedAvatar:
    folder = tmp_path_factory.mktemp("mover")
    root, _ = make_clip_avatar(folder)
    return expand(root, folder / "cache", 320, 180, 25)


def speech(seconds: float, seed: int = 1) -> NDArray[np.int16]:
    """Noise without a zero in it, so that silence is told from speech sample by sample."""
    return np.random.default_rng(seed).integers(1, 9000, round(seconds * 48_000)).astype(np.int16)


def air_with(engine: OnnxHead, avatar: ExpandedAvatar, late: int = 0) -> VirtualAir:
    return air_of(avatar, LateHead(engine, avatar, late), engine.lead_ticks)


class LateHead(EngineHead):
    """A real engine whose patches come so many ticks after they could."""

    def __init__(self, engine: OnnxHead, pack: ExpandedAvatar, late: int) -> None:
        super().__init__(engine, pack)
        self._late = late
        self._coming: list[tuple[int, MouthPatch]] = []

    def due(self, tick: int) -> Iterator[MouthPatch]:
        self._coming += [(tick + self._late, patch) for patch in super().due(tick)]
        yield from (patch for when, patch in self._coming if when <= tick)
        self._coming = [(when, patch) for when, patch in self._coming if when > tick]


def check(air: VirtualAir, shown: Composed) -> None:
    """Outside of the mouth's box the picture is the base's, and no patch is shown at another tick than its own."""
    index = base_index(shown.tick, air.avatar.loop_frames)
    boxes = [shown.mouth.patch.box] if shown.mouth else []
    assert not differs_outside(shown.picture, air.avatar.frame(index), air.label.box, *boxes), f"tick {shown.tick}"
    if shown.mouth:
        assert (shown.mouth.patch.tick, shown.mouth.patch.base) == (shown.tick, index)


@pytest.mark.parametrize("style", [wav2lip, feathertalk])
@pytest.mark.parametrize("kind", ["still", "mover"])
def test_idle_talk_idle_changes_the_mouth_alone(
    style: object, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    avatar: ExpandedAvatar = request.getfixturevalue(kind)
    assert callable(style)
    engine = OnnxHead(style(tmp_path))
    air = air_with(engine, avatar)
    lengths = np.random.default_rng(3)
    changes, before, changed = 0, False, 0
    for number in range(6):
        pcm = speech(float(lengths.uniform(0.3, 0.6)), number)
        air.speak(f"u{number}", pcm, babble(len(pcm) / 48_000, number), generation=number + 1)
        gap, ticks, after = int(lengths.integers(2, 20)), 0, 0
        while after < gap:
            ticks += 1
            if ticks == 9 and number % 5 == 4:
                air.talk.cut(number + 2)
            shown = air.step()
            check(air, shown)
            base = avatar.frame(base_index(shown.tick, avatar.loop_frames))
            changed += differs_outside(shown.picture, base, air.label.box)
            changes += shown.talking != before
            before = shown.talking
            after = 0 if air.talk.busy else after + 1
    assert changes == 12
    assert changed > 30
    assert air.talk.counters.patches_late == 0
    assert engine.counts["faces"] >= changed


@pytest.mark.parametrize("late", [1, 3, 10, 100])
def test_a_late_network_shows_no_wrong_patch_and_breaks_no_sound(
    late: int, mover: ExpandedAvatar, tmp_path: Path
) -> None:
    air = air_with(OnnxHead(wav2lip(tmp_path)), mover, late)
    pcm = speech(2.0)
    air.speak("u", pcm)
    heard = []
    for _ in range(90):
        shown = air.step()
        check(air, shown)
        heard.append(shown.sound)
    sound = np.concatenate(heard)
    start = int(np.flatnonzero(sound)[0])
    assert np.array_equal(sound[start : start + len(pcm)], pcm)
    assert not sound[start + len(pcm) :].any()
    assert (air.talk.counters.patches_shown == 0) is (late == 100)


def test_the_mouth_opens_and_shuts_over_a_few_pictures(still: ExpandedAvatar, tmp_path: Path) -> None:
    """How far each picture is from its base grows and falls by steps, never at once."""
    engine = OnnxHead(wav2lip(tmp_path))
    engine.load(still)
    track = Track()
    for _ in range(2):
        track.add(bytes(48_000) + voiced(24_000) + bytes(24_000), [("a", "aa", 24_000, 48_000)])
    track.end()
    engine.begin(1, 1, track, 0, 0)
    apart = []
    for patch in engine.render(0, 62):
        box = patch.box
        luma = np.frombuffer(patch.planes, np.uint8)[: box.width * box.height].reshape(box.height, box.width)
        base = still.frame(patch.base)[0][box.y : box.y + box.height, box.x : box.x + box.width]
        apart.append(float(np.abs(luma.astype(int) - base).mean()))
    steps = np.abs(np.diff(apart))
    assert max(apart) > 10
    assert steps.max() < 0.7 * max(apart)
    assert (np.array(apart) == 0).sum() >= 12


def test_a_batch_makes_the_same_pictures(mover: ExpandedAvatar, tmp_path: Path) -> None:
    patches = {}
    for batch in (1, 4):
        engine = OnnxHead(write(tmp_path / str(batch), {**WAV2LIP, "batch": batch}))
        engine.load(mover)
        assert engine.lead_ticks == 1 + batch
        track = track_of(
            [("a", "aa", 0, 10 * TICK), ("s", "sil", 10 * TICK, 40 * TICK), ("a", "aa", 40 * TICK, 60 * TICK)]
        )
        engine.begin(1, 1, track, 0, 0)
        patches[batch] = [p for first in range(0, 64, 7) for p in engine.render(first, first + 6)]
        assert engine.counts["silent"] > 15
        assert (engine.counts["padded"] > 0) is (batch == 4)
    assert patches[1] == patches[4]


def test_the_configuration_names_the_folder(still: ExpandedAvatar, tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"head\.onnx\.network is not set; name the folder"):
        engine_named("onnx").load(still)
    folder = wav2lip(tmp_path)
    head = HeadConfig.model_validate({"engine": "onnx", "threads": 2, "onnx": {"network": str(folder)}})
    engine = make(head, tmp_path)
    engine.load(still)
    assert engine.counts == {"faces": 0, "silent": 0, "padded": 0}


def test_the_examples_of_the_page_are_accepted(still: ExpandedAvatar, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "face.md").read_text("utf-8")
    section = page.partition("## A network of your own\n")[2].partition("\n## ")[0]
    ahead = []
    for number, example in enumerate(re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)):
        folder = write(tmp_path / str(number), yaml.safe_load(example), 1)
        (folder / "network.yaml").write_text(example, encoding="utf-8")
        engine = OnnxHead(folder)
        engine.load(still)
        _, _, sound = open_network(folder, 1)
        ahead.append(max(sound.needs(tick * TICK) - tick * TICK for tick in range(50)) / 48)
    print(f"sound ahead of a picture's start in the examples: {ahead[0]:.0f} and {ahead[1]:.0f} ms")
    assert [round(each) for each in ahead] == [216, 288]


def test_the_doctor_opens_the_network(tmp_path: Path) -> None:
    folder = wav2lip(tmp_path / "net")

    def told(network: Path | None) -> tuple[str, str]:
        head = HeadConfig.model_validate({"engine": "onnx", "onnx": {"network": network}})
        row = next(weights(head, Paths(tmp_path, tmp_path, tmp_path)))
        return row.state, row.detail

    assert told(folder) == ("ok", f"tiny-wav2lip in {folder}, licence: CC0")
    assert told(None)[0] == "missing"
    (folder / "face.onnx").write_bytes(b"<html>")
    state, detail = told(folder)
    assert state == "missing"
    assert "onnxruntime cannot open it as a network" in detail


def test_the_licence_is_said_and_a_slow_network_too(
    still: ExpandedAvatar, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcaster.head.onnx.engine.SLOW_SHARE", 0.0)
    with caplog.at_level(logging.INFO, "broadcaster.head.onnx.engine"):
        engine = OnnxHead(wav2lip(tmp_path, licence="research only"))
        engine.load(still)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the network of the talking head is slow", "network tiny-wav2lip: research only"]
    assert re.fullmatch(
        r"one picture takes \d+ ms on 1 thread: too long for 25 a second, some will be interpolated", engine.note
    )


def test_a_network_that_breaks_at_work_hands_over_to_warp(still: ExpandedAvatar, tmp_path: Path) -> None:
    """Its answer is no number as soon as something loud is heard."""
    folder = wav2lip(tmp_path)
    graph = Graph()
    heard = graph.input("audio", ["n", 1, 80, 16])
    kernel = graph.weight(np.full((3, 6, 1, 1), 1 / 6, np.float32))
    face = graph.node("Conv", graph.input("video", ["n", 6, 96, 96]), kernel, kernel_shape=[1, 1])
    loudest = graph.node("ReduceMax", heard, axes=[1, 2, 3], keepdims=1)
    root = graph.node("Sqrt", graph.node("Sub", graph.weight(np.array(2.0, np.float32)), loudest))
    graph.output(graph.node("Add", face, root), "output", ["n", 3, 96, 96])
    graph.save(folder / "face.onnx")
    head = SteppedHead("onnx", lambda name: OnnxHead(folder) if name == "onnx" else engine_named(name))
    head.load(still)
    assert head.name == "onnx"
    track = Track()
    tone = np.sin(np.arange(96_000) * (2 * np.pi * 440 / 48_000)) * np.linspace(0.0, 1.0, 96_000)
    track.add((tone * 32_000).astype("<i2").tobytes(), [("a", "aa", 0, 96_000)])
    track.end()
    head.begin(1, 1, track, 0, 0)
    assert [patch.tick for patch in head.render(0, 45)] == list(range(46))
    assert head.name == "warp"
    assert "gave numbers that are none; export it again" in head.note


def trimmed(avatar: ExpandedAvatar, folder: Path, pcm: bytes, rows: list[PhoneRow]) -> dict[int, bytes]:
    """The patches of an utterance that is known to end after 12 pictures, from the second on."""
    engine, track = OnnxHead(wav2lip(folder / "again")), Track()
    engine.load(avatar)
    track.add(pcm, rows)
    track.trim(12 * TICK)
    engine.begin(1, 1, track, 100, 0)
    return {patch.tick: patch.planes for patch in engine.render(101, 200)}


def test_the_head_process_with_a_network_over_its_socket(
    mover: ExpandedAvatar, tmp_path: Path, short_dir: Path
) -> None:
    """Anchored, trimmed, cut and anchored again: whatever is asked comes, and for the anchor that holds."""
    paths, stop = Paths(short_dir, short_dir, short_dir), threading.Event()
    config = HeadConfig.model_validate(
        {"engine": "onnx", "onnx": {"network": str(write(tmp_path, {**WAV2LIP, "batch": 2}))}}
    )
    rows = babble(2.0)
    pcm = voiced(rows[-1][3])
    with HeadPeer(paths.playout_socket, mover.fps, mover.loop_frames) as peer:
        thread = threading.Thread(target=run_head, args=(config, paths, mover, lambda *beat: None, stop))
        thread.start()
        try:
            hello = peer.meet()
            assert (hello.engine, hello.lead_ticks) == ("onnx", 3)
            peer.send(Speak(1, "u", 0, "text", pcm, rows), End(1, "u"), Anchor(1, "u", 1, 100, 0))
            early = peer.patches(2)
            peer.send(Window(100, 120))
            seen = early + peer.patches(19)
            peer.send(Trim(1, "u", 0, 12 * TICK))
            last = 100 + 12 + TRAIL_TICKS - 1
            again = peer.patches(1)
            while again[-1].tick != last:
                again += peer.patches(1)
            assert 101 <= again[0].tick < 112 - 4, "all that heard what is gone"
            seen += again
            shown = {patch.tick: patch.planes for patch in seen}
            assert {tick: shown[tick] for tick in range(101, last + 1)} == trimmed(mover, tmp_path, pcm, rows)
            peer.send(Speak(2, "v", 0, "text", pcm, rows), Anchor(2, "v", 2, 300, 0), Window(299, 330), Cut(3))
            peer.send(Speak(3, "w", 0, "text", pcm, rows), Anchor(3, "w", 3, 400, 0), Window(399, 420))
            while (patch := peer.patches(1)[0]).epoch != 3:
                assert patch.epoch == 2
            assert (patch.tick, patch.generation) == (400, 3)
        finally:
            stop.set()
            thread.join(10)
    assert not thread.is_alive()


def test_an_utterance_leaves_nothing_to_the_next(mover: ExpandedAvatar, tmp_path: Path) -> None:
    """Two of one length: what the encoder heard of the first is void in the second."""
    rows = babble(0.6)
    tracks = []
    for seed in (1, 2):
        tracks.append(track := Track())
        track.add(voiced(rows[-1][3], seed), rows)
        track.end()
    patches = {}
    for spoken in ((0, 1), (1,)):
        engine = OnnxHead(feathertalk(tmp_path))
        engine.load(mover)
        for number in spoken:
            engine.begin(1, 1, tracks[number], 0, 0)
            patches[spoken] = list(engine.render(0, 9))
    assert patches[0, 1] == patches[1,]


def test_silence_is_given_at_once(still: ExpandedAvatar, tmp_path: Path) -> None:
    """It does not wait in a batch for faces that come later."""
    engine = OnnxHead(write(tmp_path, {**WAV2LIP, "batch": 4}))
    engine.load(still)
    track = track_of([("s", "sil", 0, 40 * TICK), ("a", "aa", 40 * TICK, 60 * TICK)])
    engine.begin(1, 1, track, 0, 0)
    looked_at: list[int] = []
    due = engine._due
    engine._due = lambda avatar, line, tick: looked_at.append(tick) or due(avatar, line, tick)  # type: ignore
    assert next(engine.render(0, 60)).tick == 0
    assert looked_at == [0]


def test_a_network_that_hears_little_ahead_still_waits_for_what_opens_the_mouth(
    still: ExpandedAvatar, tmp_path: Path
) -> None:
    """The mouth shows before its sound begins: speech that comes bit by bit gives the pictures of speech at hand."""
    sound = {"feature": "mel", "input": "audio", "shape": [1, 80, 1], "columns": 1}
    engine = OnnxHead(write(tmp_path, {**WAV2LIP, "sound": sound}))
    engine.load(still)
    word = voiced(10 * TICK)
    pcm = word + bytes(20 * TICK) + word
    at_hand, coming = Track(), Track()
    at_hand.add(pcm, [])
    at_hand.end()
    engine.begin(1, 1, at_hand, 0, 0)
    whole = list(engine.render(0, 25))
    engine.begin(1, 1, coming, 0, 0)
    parts: list[MouthPatch] = []
    for start in range(0, len(pcm), TICK):
        coming.add(pcm[start : start + TICK], [])
        parts += engine.render(len(parts), 25)
    assert parts == whole
