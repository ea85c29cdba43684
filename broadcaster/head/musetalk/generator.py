"""Latents and sound -> faces, in batches of one fixed size. One thread; on a GPU one batch is always ahead.

A batch is: sound windows -> encoder -> tokens -> UNet (timestep 0, one pass) -> decoder -> uint8. On CUDA all of it
is one graph that is captured at load and replayed, so a batch costs the host one launch instead of about 2,000; the
pictures go to pinned memory on a stream of their own while the next batch runs. On a CPU the same calls are made at
once, inside `submit`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk import features, mel
from broadcaster.head.musetalk.faces import AHEAD, BEHIND, FACE_SIZE
from broadcaster.head.musetalk.window import FRAMES, WINDOW, Heard, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from broadcaster.head.musetalk.networks import Networks

    Image = NDArray[np.uint8]

DEPTH: Final = 2
"""Batches in work or ready at a time: one is copied out while the next is computed."""

WARM_UPS: Final = 3
"""Runs before the graph is captured: cuDNN tries its algorithms in the first, allocations settle in the second."""

LATENT: Final = (8, 32, 32)
"""Masked and reference latents of one base frame."""

CLOSE_S: Final = 2.0
"""How long `close` waits for what is in the making: a device that hangs must not hold up the engine that follows."""

_POLL_S: Final = 0.0003
"""How often a batch that is not ready is looked for: CUDA's own wait knows no time-out."""


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """One avatar's latents on the device."""

    tensor: Any
    rows: int


@dataclass(frozen=True, slots=True)
class Job:
    """One face to be made: `row` of the avatar's latents, and the sound around it."""

    latents: Latents
    row: int
    heard: Heard


class FaceGenerator:
    """`batch` faces at a time. Sessions may share a batch: every job names its own latents.

    Raises HeadError: not retryable when the networks do not run on the device or do not fit each other; retryable
    when the device's memory is full, and when a batch failed (the generator is then of no further use).
    """

    def __init__(self, networks: Networks, batch: int, window: Window = WINDOW, *, graphs: bool = True) -> None:
        self.batch = batch
        self.window = window
        self.note = ""
        """What the operator should know about the speed; empty when all is as it should be."""
        self._device, self._dtype = networks.device, networks.dtype
        self._pending: deque[_Batch] = deque()
        self._engine: _Eager | _Cuda
        cuda = networks.device.type == "cuda"
        with _translated("the networks could not be started", retryable=False):
            self._engine = _Cuda(networks, batch, window, graphs) if cuda else _Eager(networks, batch, window)
        self.note = self._engine.note

    def hold(self, latents: NDArray[np.float16]) -> Latents:
        """Puts an avatar's latents (rows, 8, 32, 32) on the device, where they stay while the result is referred to:
        16 KB a row in fp16. Raises AssetError for another shape."""
        import torch

        if latents.ndim != 4 or latents.shape[1:] != LATENT or not len(latents):
            raise AssetError(f"an avatar's tensors have the shape {latents.shape} instead of (rows, 8, 32, 32)")
        with _translated("the avatar's tensors could not be put on the device", retryable=False):
            tensor = torch.from_numpy(np.array(latents)).to(self._device, self._dtype)
            if self._device.type == "cuda":  # batches run on another stream, which would not wait for the copy
                torch.cuda.current_stream(self._device).synchronize()
        return Latents(tensor, len(latents))

    @property
    def in_flight(self) -> int:
        """Batches submitted and not taken."""
        return len(self._pending)

    @property
    def room(self) -> bool:
        """Whether a batch may be submitted now."""
        return len(self._pending) < DEPTH

    def submit(self, jobs: Sequence[Job]) -> None:
        """Starts a batch of 1..`batch` faces, a short one padded. Raises HeadError, and ValueError without room."""
        if not (0 < len(jobs) <= self.batch and self.room):
            raise ValueError(f"{len(jobs)} faces in a batch of {self.batch}, {len(self._pending)} batches in flight")
        for job in jobs:
            if not 0 <= job.row < job.latents.rows:
                raise HeadError(f"row {job.row} of an avatar with {job.latents.rows} was asked for", retryable=False)
        with _translated("a batch of faces failed", retryable=True):
            self._pending.append(self._engine.start(jobs))

    def take(self, timeout: float = 0.0) -> list[Image] | None:
        """The pictures of the oldest batch, uint8 (FACE_SIZE, FACE_SIZE, 3) RGB in the order submitted; None when
        nothing is ready within `timeout` seconds, or in flight at all."""
        if not self._pending:
            return None
        oldest = self._pending[0]
        with _translated("a batch of faces failed", retryable=True):
            if not oldest.ready(timeout):
                return None
            self._pending.popleft()
            return oldest.pictures()

    def close(self) -> None:
        """Lets go of the networks and of the device's memory, and waits CLOSE_S at most. Never fails: a device that
        is lost has nothing to let go of."""
        with suppress(RuntimeError):
            over = not self._pending or self._pending[-1].ready(CLOSE_S)
            self._pending.clear()
            self._engine.close(over)


class _Batch:
    """Pictures that are there: on a CPU always."""

    def __init__(self, pictures: NDArray[np.uint8], count: int) -> None:
        self._pictures, self._count = pictures, count

    def ready(self, timeout: float) -> bool:
        return True

    def pictures(self) -> list[Image]:
        """Copies: what they lie in is used again."""
        return list(self._pictures[: self._count].copy())


class _CudaBatch(_Batch):
    def __init__(self, pictures: NDArray[np.uint8], jobs: Sequence[Job], done: Any) -> None:
        super().__init__(pictures, len(jobs))
        self._done = done
        self._in_use = [job.latents for job in jobs]
        """An avatar that is let go of meanwhile: its memory would be given to the next one at once."""

    def ready(self, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while not self._done.query():
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        return True


class _Inputs:
    """One batch's input on the host: pinned where a GPU fetches it from there."""

    def __init__(self, batch: int, window: Window, pinned: bool) -> None:
        import torch

        self.mel = torch.zeros(batch, mel.BANDS, FRAMES * window.steps, pin_memory=pinned)
        self.position = torch.zeros(batch, dtype=torch.int64, pin_memory=pinned)
        self.rows = torch.full((batch, BEHIND + AHEAD), window.steps, dtype=torch.int64, pin_memory=pinned)

    def fill(self, jobs: Sequence[Job]) -> None:
        mels, positions, rows = self.mel.numpy(), self.position.numpy(), self.rows.numpy()
        for at in range(len(positions)):
            heard = jobs[min(at, len(jobs) - 1)].heard
            mels[at], positions[at], rows[at] = heard.mel, heard.position, heard.rows


class Pipeline:
    """The networks in a row, on tensors of their device. No Python-side state."""

    def __init__(self, networks: Networks) -> None:
        import torch

        self._networks = networks
        self._places = features.token_places(networks.width, networks.dtype, networks.device)
        self._timestep = torch.zeros(1, dtype=torch.int64, device=networks.device)

    def told(self, mels: Any, position: Any, rows: Any) -> Any:
        """Tokens (B, 50, width) of the sound. `mels` float32 (B, 80, frames)."""
        networks = self._networks
        return features.tokens(networks.sound, mels.to(networks.dtype), position, rows, self._places)

    def made(self, latents: Any, told: Any) -> Any:
        """(B, 4, 32, 32): the UNet's one pass over latents (B, 8, 32, 32)."""
        return self._networks.unet(latents, self._timestep, encoder_hidden_states=told, return_dict=False)[0]

    def pictures(self, made: Any) -> Any:
        """uint8 (B, 256, 256, 3) RGB."""
        return self._rounded(self._networks.decoder(made))

    def _rounded(self, painted: Any) -> Any:
        """In fp32: fp16 has steps of an eighth there."""
        import torch

        picture = painted.permute(0, 2, 3, 1).float()
        return picture.mul(127.5).add_(127.5).clamp_(0, 255).round_().to(torch.uint8).contiguous()

    def faces(self, mels: Any, position: Any, rows: Any, latents: Any) -> Any:
        return self.pictures(self.made(latents, self.told(mels, position, rows)))

    def tried(self, mels: Any, position: Any, rows: Any, latents: Any) -> Any:
        """The same, looked at: values that are no numbers would only be seen on air. Raises HeadError."""
        import torch

        painted = self._networks.decoder(self.made(latents, self.told(mels, position, rows)))
        if not torch.isfinite(painted).all():
            raise HeadError(
                "musetalk: the networks give values that are no numbers: their weights are damaged -> broadcaster "
                "models check; or remove them and repeat: broadcaster models pull musetalk",
                retryable=False,
            )
        return self._rounded(painted)


def _gathered(jobs: Sequence[Job], out: Any) -> None:
    """Each face's latents into the batch; what is over repeats the last."""
    for at in range(len(out)):
        job = jobs[min(at, len(jobs) - 1)]
        out[at].copy_(job.latents.tensor[job.row])


class _Eager:
    """On a CPU: one call, made at once."""

    note = "the engine runs on the CPU: seconds for one picture, for rendering off line only"

    def __init__(self, networks: Networks, batch: int, window: Window) -> None:
        import torch

        self._pipeline = Pipeline(networks)
        self._inputs = _Inputs(batch, window, pinned=False)
        self._latents = torch.zeros(batch, *LATENT, dtype=networks.dtype)
        self._run(self._pipeline.tried)

    def _run(self, faces: Callable[..., Any]) -> NDArray[np.uint8]:
        import torch

        inputs = self._inputs
        with torch.inference_mode():
            pictures: NDArray[np.uint8] = faces(inputs.mel, inputs.position, inputs.rows, self._latents).numpy()
        assert pictures.shape[1:] == (FACE_SIZE, FACE_SIZE, 3)
        return pictures

    def start(self, jobs: Sequence[Job]) -> _Batch:
        self._inputs.fill(jobs)
        _gathered(jobs, self._latents)
        return _Batch(self._run(self._pipeline.faces), len(jobs))

    def close(self, over: bool) -> None:
        del self._pipeline


class _Cuda:
    """On a GPU: everything the batch needs has a fixed place on the device, and one graph works on these places."""

    def __init__(self, networks: Networks, batch: int, window: Window, graphs: bool) -> None:
        import torch

        torch.backends.cudnn.benchmark = True  # the shapes never change
        device = networks.device
        if device.index is not None:
            torch.cuda.set_device(device)  # pinned memory and graphs belong to the current one
        self.note = ""
        self._pipeline = Pipeline(networks)
        self._compute, self._copies = torch.cuda.Stream(device), torch.cuda.Stream(device)
        self._host = [_Inputs(batch, window, pinned=True) for _ in range(DEPTH)]
        first = self._host[0]
        self._mel, self._position, self._rows = (
            tensor.to(device) for tensor in (first.mel, first.position, first.rows)
        )
        self._latents = torch.zeros(batch, *LATENT, dtype=networks.dtype, device=device).to(
            memory_format=torch.channels_last
        )
        shape = (batch, FACE_SIZE, FACE_SIZE, 3)
        self._made = [torch.zeros(shape, dtype=torch.uint8, device=device) for _ in range(DEPTH)]
        self._pinned = [torch.zeros(shape, dtype=torch.uint8, pin_memory=True) for _ in range(DEPTH)]
        self._graph: Any = None
        self._out: Any = None
        self._next = 0
        # What lies on the device was put there by the default stream, which no other stream waits for by itself.
        self._compute.wait_stream(torch.cuda.current_stream(device))
        with torch.inference_mode(), torch.cuda.stream(self._compute):
            self._out = self._pipeline.tried(self._mel, self._position, self._rows, self._latents)
            for _ in range(1, WARM_UPS):
                self._out = self._faces()
        self._compute.synchronize()
        if graphs:
            self._capture()
        else:
            self.note = "without CUDA graphs"

    def _faces(self) -> Any:
        return self._pipeline.faces(self._mel, self._position, self._rows, self._latents)

    def _capture(self) -> None:
        import torch

        graph = torch.cuda.CUDAGraph()
        try:
            with (
                torch.inference_mode(),
                torch.cuda.stream(self._compute),  # a capture that fails leaves the thread on its stream
                torch.cuda.graph(graph, stream=self._compute, capture_error_mode="thread_local"),
            ):
                out = self._faces()
        except RuntimeError as err:
            torch.cuda.synchronize()
            self.note = f"without CUDA graphs, so slower: {_first_line(err)}"
            return
        self._graph, self._out = graph, out

    def start(self, jobs: Sequence[Job]) -> _Batch:
        import torch

        slot, self._next = self._next, (self._next + 1) % DEPTH
        host = self._host[slot]
        host.fill(jobs)
        with torch.inference_mode(), torch.cuda.stream(self._compute):
            self._mel.copy_(host.mel, non_blocking=True)
            self._position.copy_(host.position, non_blocking=True)
            self._rows.copy_(host.rows, non_blocking=True)
            _gathered(jobs, self._latents)
            if self._graph is not None:
                self._graph.replay()
            else:
                self._out = self._faces()
            self._made[slot].copy_(self._out)
            computed = torch.cuda.Event()
            computed.record(self._compute)
        with torch.inference_mode(), torch.cuda.stream(self._copies):
            self._copies.wait_event(computed)
            self._pinned[slot].copy_(self._made[slot], non_blocking=True)
            done = torch.cuda.Event()
            done.record(self._copies)
        return _CudaBatch(self._pinned[slot].numpy(), jobs, done)

    def close(self, over: bool) -> None:
        """`over`: nothing is in the making. Freeing would wait for what is, so the memory then stays with torch."""
        import torch

        self._graph = self._out = None
        del self._pipeline, self._made, self._pinned, self._latents
        if over:
            torch.cuda.empty_cache()


@contextmanager
def _translated(what: str, *, retryable: bool) -> Iterator[None]:
    """torch's errors (out of memory, a lost device, shapes that do not fit) are RuntimeErrors."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as err:
        raise HeadError(
            f"musetalk: {what}: {_first_line(err).partition('. ')[0]} -> free some (nvidia-smi shows who uses it), "
            "set a smaller head.musetalk.batch, or share one engine between channels: head.musetalk.server"
        ) from err
    except RuntimeError as err:
        raise HeadError(f"musetalk: {what}: {_first_line(err)}", retryable=retryable) from err


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:300]
