"""Engine `musetalk`: port `TalkingHead` over the port `Faces`. In the head process's thread; a GPU works beside it.

For every tick whose mouth is not the base's own, one face is asked for, by whole batches, and never more than two
batches ahead: what an anchor or a cut makes void is then little. A batch is filled up with faces that come later;
where their sound is not there yet it waits for it, until the track is due or complete. In silence nothing is asked.

A patch depends on the track around its tick, the anchor and the base frame alone. After a new anchor within an
utterance the networks hear its last seconds again, so the same anchor always gives the same pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.faces import FACE_SIZE, STEP, Wanted
from broadcaster.head.musetalk.window import LOOK_AHEAD
from broadcaster.head.paste import Paster
from broadcaster.head.timeline import Timeline
from broadcaster.head.voicing import AHEAD, Voicing
from broadcaster.types import SAMPLE_RATE, MouthPatch, base_index, samples_at

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from broadcaster.config import HeadConfig
    from broadcaster.head.musetalk.faces import Faces
    from broadcaster.head.musetalk.latents import Crops
    from broadcaster.head.musetalk.layout import Version
    from broadcaster.ports import FacePack, SpeechTrack

    Image = NDArray[np.uint8]

HISTORY: Final = 8 * SAMPLE_RATE
"""Sound before an anchor that the networks are told, for what they hear in it: twice their window. Tracks keep ten
seconds before the last picture rendered, which is a second ahead of the air."""

TAKE_S: Final = 0.1
PATIENCE_S: Final = 10.0
"""A GPU that has made no batch for this long makes none any more. On a CPU the work is done within the calls."""

CPU_BATCH: Final = 1
"""Larger batches save a twentieth there, and nobody can be answered while one is made: seconds for each picture. Nor
is any face asked for ahead of the one that is waited for: all the work is done in `ask`."""

GAINS_KEPT: Final = 1000
"""Ticks whose gain is remembered."""

Supply = Callable[["FacePack"], "tuple[Faces, Path]"]


class MuseTalkHead:
    """Port `TalkingHead`, and `ThinningHead`. `supply` gives faces that are not loaded yet and the avatar's latents;
    it is called once, by `load`."""

    name = "musetalk"
    loads_long = True
    """Half a minute from a cold disk: `warp` speaks meanwhile."""

    def __init__(self, supply: Supply, batch: int, version: Version = "1.5", threads: int = 1) -> None:
        self.lead_ticks = batch
        self.stride = 1
        self.own_device = False
        """The networks are in this process, and its GPU's faults with them."""
        self._supply = supply
        self._version = version
        self._threads = threads
        self._avatar: FacePack | None = None
        self._line: Timeline | None = None
        self._made = self._silent = self._wasted = 0

    @property
    def counts(self) -> dict[str, int]:
        """`faces`: patches with a generated mouth; `silent`: patches that are the base; `wasted`: faces that were
        asked for, and void before they were shown."""
        return {"faces": self._made, "silent": self._silent, "wasted": self._wasted}

    @property
    def note(self) -> str:
        """What the operator should know about the speed, or ""."""
        return str(getattr(self._faces, "note", "")) if self._avatar is not None else ""

    def load(self, avatar: FacePack) -> None:
        """Networks, latents, one face pasted. Raises AssetError or HeadError."""
        from broadcaster.head.musetalk.latents import Crops

        self._crops: Crops = Crops(avatar, self._version)
        crop = self._crops.of(0)
        self._rows = avatar.source_frames
        self._paster = Paster(avatar.width, avatar.height, self._threads)
        self._faces, latents = self._supply(avatar)
        self._faces.load(latents)
        self._paster.paste(avatar.frame(0), crop, np.zeros((FACE_SIZE, FACE_SIZE, 3), np.uint8))
        self._serial = 0
        self._asked: dict[int, int] = {}
        """Tick -> key, of the faces in flight."""
        self._ticks: dict[int, int] = {}
        """Key -> tick, of the same."""
        self._ready: dict[int, Image] = {}
        """Tick -> face."""
        self._uneven = False
        """Less than a batch is among what is in flight, so that later ones may not come out even either."""
        self._avatar = avatar

    def begin(self, generation: int, epoch: int, track: SpeechTrack, first_tick: int, first_sample: int) -> None:
        if self._avatar is None:
            raise HeadError("the musetalk engine was asked to speak before an avatar was loaded", retryable=False)
        self._drop(0)
        self._line = Timeline(generation, epoch, first_tick, first_sample, self._avatar.fps)
        self._track, self._voicing = track, Voicing(track)
        self._gains: dict[int, float] = {}
        self._seen = (-1, False)
        self._origin = max(0, (first_sample - HISTORY) // STEP * STEP)
        self._heard = self._origin
        self._faces.begin()

    def render(self, first: int, last: int) -> Iterator[MouthPatch]:
        line, avatar = self._line, self._avatar
        if line is None or avatar is None:
            return
        start = max(first, line.first_tick)
        start += (line.first_tick - start) % self.stride
        self._next = start
        self._drop_before(start)
        for tick in range(start, last + 1, self.stride):
            self._follow()
            gain = 0.0
            if self._known(tick):
                gain = self._gain(tick)
            elif not self._track.complete or line.over(tick, self._track.samples):
                return
            face = None
            if gain > 0:
                face = self._face(tick, last)
                if face is None:
                    return
                self._made += 1
            else:
                self._silent += 1
            base = base_index(tick, avatar.loop_frames)
            box, planes = self._paster.paste(avatar.frame(base), self._crops.of(base), face, gain)
            yield MouthPatch(line.generation, line.epoch, tick, base, box, planes)

    def close(self) -> None:
        """Lets go of the networks, or of the server."""
        if self._avatar is not None:
            self._faces.close()
            self._avatar = self._line = None

    def _start(self, tick: int) -> int:
        """The sample of the utterance that sounds at the start of a tick."""
        assert self._line is not None
        return self._line.middle(tick) - samples_at(1, self._line.fps) // 2

    def _known(self, tick: int, *, in_full: bool = False) -> bool:
        """Whether a face can be made: with all that it looks at, or with what is there when that is all or due."""
        assert self._line is not None
        track, middle = self._track, self._line.middle(tick)
        if track.complete or (track.due and not in_full):
            return middle < track.samples
        return max(self._start(tick) + LOOK_AHEAD, middle + AHEAD) <= track.samples

    def _gain(self, tick: int) -> float:
        known = self._gains.get(tick)
        if known is None:
            assert self._line is not None
            known = self._gains[tick] = self._voicing.gain_at(self._line.middle(tick))
        return known

    def _follow(self) -> None:
        """Looks whether the track has grown, ended or been trimmed since."""
        track = self._track
        if self._seen == (track.samples, track.complete):
            return
        shorter = track.samples < self._seen[0]
        self._seen = (track.samples, track.complete)
        self._gains.clear()
        self._next = 0
        if not shorter:
            return
        assert self._line is not None
        if self._heard > track.samples:
            self._faces.rewind(track.samples - self._origin)
            self._heard = track.samples
        self._drop(self._line.tick_of(track.samples - LOOK_AHEAD))

    def _hear(self, tick: int) -> None:
        """Tells the networks the sound up to where a face of `tick` looks, as far as it is there."""
        until = min(self._track.samples, self._start(tick) + LOOK_AHEAD)
        if until > self._heard:
            self._faces.hear(self._track.pcm(self._heard, until))
            self._heard = until

    def _face(self, tick: int, last: int) -> Image | None:
        """The face of a tick, waited for; None where its batch waits for more sound."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self._ask(tick, last)
            if tick in self._ready:
                return self._ready.pop(tick)
            if tick not in self._asked:
                return None
            faces = self._faces.take(TAKE_S)
            for face in faces:
                wanted_for = self._ticks.pop(face.key, None)
                if wanted_for is not None:
                    del self._asked[wanted_for]
                    self._ready[wanted_for] = face.pixels
            if faces:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise HeadError(f"no face was made for {PATIENCE_S:.0f} s")

    def _ask(self, tick: int, last: int) -> None:
        """Asks for whole batches, up to two in flight; for less where nothing more will come to fill one."""
        faces = self._faces
        while self._room():
            wanted, waits = self._wanted(tick, last, faces.batch)
            if not wanted or (waits and len(wanted) < faces.batch):
                return
            self._next = wanted[-1] + self.stride
            self._hear(wanted[-1])
            asked = []
            for each in wanted:
                self._serial += 1
                self._asked[each], self._ticks[self._serial] = self._serial, each
                step = (self._start(each) - self._origin) // STEP
                row = int(self._rows[base_index(each, len(self._rows))])
                asked.append(Wanted(self._serial, step, row))
            self._uneven = len(wanted) < faces.batch or (self._uneven and faces.asked > 0)
            faces.ask(asked)
            if self._uneven:
                faces.flush()

    def _room(self) -> bool:
        if self._faces.batch <= CPU_BATCH:
            return not self._asked and not self._ready
        return len(self._asked) <= self._faces.batch

    def _wanted(self, tick: int, last: int, batch: int) -> tuple[list[int], bool]:
        """The next ticks to ask a face for, a batch at most, and whether more sound would bring more of them.

        Beyond `last` only to fill a batch that began before. A face whose sound is not all there is asked for when it
        is needed and due, not ahead.
        """
        wanted: list[int] = []
        in_full = self._known(tick, in_full=True)
        at = max(self._next, tick)
        while len(wanted) < batch:
            if at > last and (not wanted or at > last + batch * self.stride):
                return wanted, False
            if not self._known(at, in_full=in_full):
                return wanted, not (self._track.complete or self._track.due)
            if at not in self._asked and at not in self._ready and self._gain(at) > 0:
                wanted.append(at)
            at += self.stride
        return wanted, False

    def _drop(self, tick: int) -> None:
        """What was made or asked for from `tick` on is void."""
        if self._line is not None:
            self._void([each for each in (*self._asked, *self._ready) if each >= tick])

    def _drop_before(self, tick: int) -> None:
        self._void([each for each in (*self._asked, *self._ready) if each < tick])
        if len(self._gains) > GAINS_KEPT:
            self._gains.clear()

    def _void(self, ticks: list[int]) -> None:
        self._wasted += len(ticks)
        for tick in ticks:
            key = self._asked.pop(tick, None)
            if key is not None:
                del self._ticks[key]
            self._ready.pop(tick, None)


def make(config: HeadConfig, models: Path) -> MuseTalkHead:
    """As `head.musetalk` says: networks in this process, or those of an engine server."""
    settings = config.musetalk
    supply = partial(_served if settings.server is not None else _local, config, models)
    made = MuseTalkHead(supply, settings.batch, settings.version, config.threads)
    made.own_device = settings.server is None
    return made


def _served(config: HeadConfig, models: Path, avatar: FacePack) -> tuple[Faces, Path]:
    from broadcaster.head.musetalk import latents
    from broadcaster.head.musetalk.link import hello_of
    from broadcaster.head.musetalk.remote import RemoteFaces

    settings = config.musetalk
    assert settings.server is not None
    if latents.find(avatar, settings.version) is None:
        raise _missing(avatar, settings.version)
    fingerprint = hello_of(settings.server).fingerprint
    path = latents.find(avatar, settings.version, fingerprint)
    if path is None:
        raise AssetError(
            f"{avatar.root}: its tensors were made with another image coder than the server's ({fingerprint}) -> "
            f"{latents.COMMAND}, with head.musetalk.models as the server has it"
        )
    return RemoteFaces(settings.server, settings.version, settings.batch, fingerprint, avatar.root.name), path


def _local(config: HeadConfig, models: Path, avatar: FacePack) -> tuple[Faces, Path]:
    from broadcaster.head.musetalk import latents, loading
    from broadcaster.head.musetalk.layout import weights_folder
    from broadcaster.head.musetalk.local import LocalFaces
    from broadcaster.head.musetalk.networks import choose_device

    settings = config.musetalk
    folder = weights_folder(settings, models)
    device: Any = choose_device(settings.device, config.threads)
    path = latents.find(avatar, settings.version, loading.fingerprint(folder))
    if path is None:
        if device.type != "cuda":
            raise _missing(avatar, settings.version)
        path = latents.make_latents(avatar, settings.version, latents.load_coder(folder, device))
    load = partial(loading.load, folder, settings.version, settings.decoder, device)
    return LocalFaces(load, settings.batch if device.type == "cuda" else CPU_BATCH), path


def _missing(avatar: FacePack, version: str) -> AssetError:
    from broadcaster.head.musetalk.latents import COMMAND, cost

    return AssetError(
        f"{avatar.root}: the avatar's tensors for MuseTalk {version} are not there -> {COMMAND} ({cost(avatar)})"
    )
