"""MuseTalk's networks on this machine's GPU: `python -m bench.gpu_face`, with nothing of the daemon around them.

Random weights of full size, which are as fast as trained ones. Needs numpy, opencv, pillow, torch (2.11 to 2.13),
diffusers and transformers; no PyAV, no network, no weights (docs/face.md names the wheels to carry). In one run:

- a plain eager loop as upstream has it (fp16, whole batch through the sound encoder's 30 s, synchronous fp32 copies,
  every picture pasted with PIL), beside ours by batch and decoder, pasted as well
- how many live channels of 25 pictures a second one GPU carries, in batches that they share
- how long after the sound of its first batch is there the first patch comes

`--tiny` runs all of it with small networks on any device, to see that it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.run_tables import Row, percentile, table
from broadcaster.head.musetalk import features, layout, networks
from broadcaster.head.musetalk.batcher import Batcher
from broadcaster.head.musetalk.faces import STEP, Wanted
from broadcaster.head.musetalk.generator import FaceGenerator, Job
from broadcaster.head.musetalk.local import LocalFaces
from broadcaster.head.musetalk.networks import Networks
from broadcaster.head.musetalk.window import LOOK_AHEAD, SoundWindow
from broadcaster.head.paste import Paster
from tests.support.blending import blended, crop_with_mask, expanded_mask, i420, rgb

FULL: Final = {name: part.published for name, part in layout.PARTS.items()}
SIZE: Final = (1280, 720)
CROP: Final = crop_with_mask(490, 90, 790, 450)
ROWS: Final = 250
FPS: Final = 25
BATCHES: Final = (1, 2, 4, 8, 16)
CHANNELS: Final = (1, 2, 4, 8, 12, 16)
LIVE_BATCH: Final = 8
ASKED: Final = 4

TIMES_FASTER: Final = 6.0
FULL_GOAL: Final = 300.0
FAST_GOAL: Final = 1000.0
CHANNELS_GOAL: Final = 12
FIRST_MS: Final = 120.0
LATE_MS: Final = 160.0
"""A channel asks for ASKED pictures at a time: they are needed when the next ones are asked for."""

Image = NDArray[np.uint8]


class Bench:
    def __init__(self, device: Any, tiny: bool, seconds: float) -> None:
        self.device, self.tiny, self.seconds = device, tiny, seconds
        dice = np.random.default_rng(1)
        self.latents = dice.normal(size=(ROWS, 8, 32, 32)).astype(np.float16)
        self.pcm = np.clip(dice.normal(size=48_000 * 20) * 4000, -32_768, 32_767).astype("<i2")
        self.planes = i420(np.repeat(np.repeat(dice.integers(30, 220, (9, 16, 3), dtype=np.uint8), 80, 0), 80, 1))
        self.paster = Paster(*SIZE)
        self.sound = SoundWindow()
        self.sound.hear(self.pcm.tobytes())
        self.heard = [self.sound.heard(step) for step in range(0, 900, 2)]

    def networks(self, decoder: layout.DecoderName) -> Networks:
        return networks.random(networks.TINY if self.tiny else FULL, "1.5", decoder, self.device)

    def ours(self, made: Networks, batch: int, *, graphs: bool = True) -> tuple[float, str]:
        """Faces a second, each pasted into a 720p picture while the next batch runs; and what the engine notes."""
        generator = FaceGenerator(made, batch, graphs=graphs)
        held = generator.hold(self.latents)
        jobs = self._jobs(held)

        def run(until: float) -> int:
            count = 0
            while time.perf_counter() < until or generator.in_flight:
                while generator.room and time.perf_counter() < until:
                    generator.submit([next(jobs) for _ in range(batch)])
                for face in generator.take(1.0) or []:
                    self.paster.paste(self.planes, CROP, face)
                    count += 1
            return count

        rate = self._rate(run)
        note = generator.note
        generator.close()
        return rate, note

    def plain(self, made: Networks, batch: int) -> float:
        """Faces a second of the eager loop: one thing after the other."""
        dtype, device = made.dtype, made.device
        places = features.token_places(made.width, dtype, device)
        latents = torch.from_numpy(self.latents).to(device, dtype)
        timestep = torch.zeros(1, dtype=torch.int64, device=device)
        bgr = np.ascontiguousarray(rgb(self.planes)[:, :, ::-1])
        square, mask = expanded_mask(CROP)
        clip = self._clip_states(made)

        def run(until: float) -> int:
            count = 0
            while time.perf_counter() < until:
                first = count % 500
                steps = [2 * (first + at) for at in range(batch)]
                told = torch.stack([clip[step : step + 10].flatten(0, 1) for step in steps]).to(dtype) + places
                rows = torch.stack([latents[(first + at) % ROWS] for at in range(batch)])
                sample = made.unet(rows, timestep, encoder_hidden_states=told).sample
                pictures = (made.decoder(sample) / 2 + 0.5).clamp(0, 1)
                pixels = pictures.detach().cpu().permute(0, 2, 3, 1).float().numpy()
                for picture in (pixels * 255).round().astype(np.uint8)[:, :, :, ::-1]:
                    blended(bgr, np.ascontiguousarray(picture), CROP, square, mask)
                    count += 1
            return count

        with torch.inference_mode():
            return self._rate(run)

    def channels(self, made: Networks, count: int) -> tuple[float, float]:
        """`count` live channels over one generator: P95 of the time from asking to the face in ms, and the share of
        the faces asked for that came."""
        generator = FaceGenerator(made, LIVE_BATCH)
        held = generator.hold(self.latents)
        jobs = self._jobs(held)
        batcher: Batcher[int, tuple[float, Job]] = Batcher(generator.batch, time.monotonic)
        for channel in range(count):
            batcher.add(channel)
        every = ASKED / FPS
        begun = time.monotonic()
        due = [begun + every * channel / count for channel in range(count)]
        in_work: deque[list[float]] = deque()
        waits: list[float] = []
        asked = 0
        while (now := time.monotonic()) < begun + self.seconds:
            for channel in range(count):
                if due[channel] <= now:
                    asked += batcher.ask(channel, [(due[channel], next(jobs)) for _ in range(ASKED)])
                    due[channel] += every
            if generator.room and (chosen := batcher.next()):
                generator.submit([job for _, (_, job) in chosen])
                in_work.append([since for _, (since, _) in chosen])
            pictures = generator.take(0.0005)
            if pictures is not None:
                waits += [1000 * (time.monotonic() - since) for since in in_work.popleft()]
                for face in pictures:
                    self.paster.paste(self.planes, CROP, face)
        missing = sum(len(each) for each in in_work) + len(batcher)
        generator.close()
        return percentile(waits, 95), 1 - max(0, missing - ASKED * count) / max(1, asked)

    def first_patch(self, made: Networks, batch: int, tries: int) -> list[float]:
        """ms from the sound of the first batch to its first patch, on an idle engine."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "latents.npy"
            np.save(path, self.latents)
            faces = LocalFaces(lambda: made, batch)
            faces.load(path)
        needed = self.pcm[: 2 * (batch - 1) * STEP + LOOK_AHEAD].tobytes()
        out = []
        for _ in range(tries):
            time.sleep(0.05)
            began = time.perf_counter()
            faces.begin()
            faces.hear(needed)
            faces.ask([Wanted(at, 2 * at, at) for at in range(batch)])
            face = faces.take(60.0)[0]
            self.paster.paste(self.planes, CROP, face.pixels)
            out.append(1000 * (time.perf_counter() - began))
        faces.close()
        return out

    def _jobs(self, held: Any) -> Iterator[Job]:
        at = 0
        while True:
            yield Job(held, at % ROWS, self.heard[at % len(self.heard)])
            at += 1

    def _clip_states(self, made: Networks) -> Any:
        """(1500, 5, width) of one 30 s segment, made once as upstream does before it starts."""
        spectrum = torch.zeros(1, 80, 3000, dtype=made.dtype, device=made.device)
        with torch.inference_mode():
            return torch.stack(
                features.states(made.sound, spectrum, torch.zeros(1, dtype=torch.int64, device=made.device)), dim=2
            )[0]

    def _rate(self, run: Callable[[float], int]) -> float:
        run(time.perf_counter() + self.seconds / 4)
        began = time.perf_counter()
        count = run(began + self.seconds)
        return count / (time.perf_counter() - began)


def run(*, quick: bool = False, tiny: bool | None = None, compiled: bool = False) -> list[Row]:
    """On a machine without CUDA it is `tiny`, whatever is asked."""
    cuda = torch.cuda.is_available()
    tiny = not cuda if tiny is None else tiny
    torch.set_num_threads(1)
    device = torch.device("cuda" if cuda else "cpu")
    name = torch.cuda.get_device_name(device) if cuda else "no GPU"
    print(f"torch {torch.__version__}, {name}" + (", TINY networks: these figures mean nothing" if tiny else ""))
    bench = Bench(device, tiny, (0.4 if quick else 2.0) if tiny else (2.0 if quick else 6.0))
    batches = BATCHES[2:3] if quick else BATCHES
    rows: list[Row] = []
    live = None
    for decoder, goal in (("full", FULL_GOAL), ("fast", FAST_GOAL)):
        made = bench.networks(decoder)  # type: ignore[arg-type]
        live = live or made
        rates = {}
        for batch in batches:
            rates[batch], note = bench.ours(made, batch)
            rows.append(Row(f"{decoder} decoder, batch {batch}", rates[batch], "faces/s", None, note))
        again = batches[len(batches) // 2]
        rate, note = bench.ours(made, again, graphs=False)
        rows.append(Row(f"{decoder} decoder, batch {again}, no graphs", rate, "faces/s"))
        if compiled:
            rows.append(_compiled(bench, made, decoder, again))
        plain = max(bench.plain(made, batch) for batch in {again, batches[-1]})
        rows.append(Row(f"{decoder} decoder, plain eager loop", plain, "faces/s"))
        best = max(rates.values())
        rows.append(_faces(f"{decoder} decoder, best", best, None if tiny else goal))
        least = TIMES_FASTER * plain if decoder == "full" and not tiny else None
        rows.append(replace(_faces(f"{decoder} decoder, beside plain", best, least), note=f"{best / plain:.1f}x"))
    assert live is not None
    table("Faces a second, each pasted into 720p", rows)
    return rows + _live(bench, live, quick)


def _compiled(bench: Bench, made: Networks, decoder: str, batch: int) -> Row:
    """What torch.compile would add to the graphs; the engine does not use it (a minute or more at every start)."""
    squeezed = replace(made, unet=torch.compile(made.unet), decoder=torch.compile(made.decoder))
    try:
        rate, note = bench.ours(squeezed, batch)
    except Exception as err:  # whatever a compiler may say: the other figures stand
        return Row(f"{decoder} decoder, batch {batch}, compiled", float("nan"), "faces/s", None, str(err)[:100])
    return Row(f"{decoder} decoder, batch {batch}, compiled", rate, "faces/s", None, note)


def _live(bench: Bench, made: Networks, quick: bool) -> list[Row]:
    rows, carried = [], 0
    for count in CHANNELS[1:3] if quick else CHANNELS:
        late, came = bench.channels(made, count)
        carries = late <= LATE_MS and came >= 0.999
        carried = count if carries else carried
        rows.append(
            Row(
                f"{count} channels: from asking to the face P95", late, "ms", None, f"{100 * came:.1f} % of the faces"
            )
        )
    short = max(0, CHANNELS_GOAL - carried)
    note = f"{carried} carried, of those tried"
    rows.append(Row(f"live channels short of {CHANNELS_GOAL}", short, "", None if bench.tiny else 0, note))
    firsts = bench.first_patch(made, ASKED, 5 if quick else 30)
    goal = None if bench.tiny else FIRST_MS
    rows.append(Row("first patch after its sound, median", statistics.median(firsts), "ms", goal))
    rows.append(Row("first patch after its sound, P95", percentile(firsts, 95), "ms", goal))
    table(f"Live channels at {FPS} pictures a second, batches of {LIVE_BATCH}, full decoder", rows)
    return rows


def _faces(name: str, rate: float, least: float | None) -> Row:
    """Time per face, so that less is better as in every other row."""
    return Row(name, 1000 / rate, "ms a face", None if least is None else 1000 / least, f"{rate:,.0f} faces/s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.gpu_face", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few samples")
    parser.add_argument("--tiny", action="store_true", help="small networks: to see that it runs")
    parser.add_argument("--compile", action="store_true", help="torch.compile beside CUDA graphs as well")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        print("There is no GPU here (torch sees none): --tiny shows that the bench works")
        return 1
    rows = run(quick=options.quick, tiny=options.tiny, compiled=options.compile)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
