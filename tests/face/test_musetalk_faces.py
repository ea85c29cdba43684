"""Batches of faces and the channel that asks for them: order, rounding up, what is void, faults."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from broadcaster.errors import AssetError, HeadError
from broadcaster.head.musetalk.faces import FACE_SIZE, STEP, Face, Wanted
from broadcaster.head.musetalk.generator import CLOSE_S, DEPTH, FaceGenerator, Job
from broadcaster.head.musetalk.local import LocalFaces
from broadcaster.head.musetalk.window import SoundWindow, Window
from tests.face.support.agreement import speech
from tests.face.support.least import least

pytestmark = pytest.mark.unit

ROWS = 3
BATCH = 4
SHORT = Window(steps=40, pad=4)
"""A short window: these tests are not about what is heard."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def latents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("latents") / "latents.npy"
    np.save(path, np.random.default_rng(3).normal(size=(ROWS, 8, 32, 32)).astype(np.float16))
    return path


@pytest.fixture(scope="module")
def loaded(latents: Path) -> Iterator[LocalFaces]:
    made = LocalFaces(least, BATCH, SHORT)
    made.load(latents)
    yield made
    made.close()


@pytest.fixture
def faces(loaded: LocalFaces) -> LocalFaces:
    """Loaded once; `begin` makes what is in flight void, and that is taken away here."""
    loaded.begin()
    assert loaded.take(10) == []
    loaded.hear(speech().tobytes())
    return loaded


def wanted(*keys: int) -> list[Wanted]:
    return [Wanted(key, 2 * key, key % ROWS) for key in keys]


def taken(faces: LocalFaces) -> list[Face]:
    out: list[Face] = []
    while batch := faces.take(10):
        out += batch
    return out


def keys(faces: list[Face]) -> list[int]:
    return [face.key for face in faces]


def test_a_full_batch_starts_by_itself_and_the_rest_waits_to_be_flushed(faces: LocalFaces) -> None:
    faces.ask(wanted(0, 1, 2))
    assert faces.take(0) == []
    assert faces.asked == 3
    faces.ask(wanted(3, 4))
    first = faces.take(10)
    assert keys(first) == [0, 1, 2, 3]
    assert all(face.pixels.shape == (FACE_SIZE, FACE_SIZE, 3) and face.pixels.dtype == np.uint8 for face in first)
    assert faces.take(0) == []
    assert faces.asked == 1
    faces.flush()
    assert keys(faces.take(10)) == [4]
    assert faces.asked == 0


def test_a_face_is_the_same_in_every_place_of_every_batch(faces: LocalFaces) -> None:
    faces.ask(wanted(*range(BATCH)))
    whole = {face.key: face.pixels for face in taken(faces)}
    for alone in (3, 1):
        faces.ask(wanted(alone))
        faces.flush()
        (face,) = taken(faces)
        assert np.array_equal(face.pixels, whole[alone])
    assert len({pixels.tobytes() for pixels in whole.values()}) == BATCH


def test_more_than_there_is_room_for_waits_and_comes_in_order(faces: LocalFaces) -> None:
    many = BATCH * (DEPTH + 1) + 1
    faces.ask(wanted(*range(many)))
    faces.flush()
    assert faces.asked == many
    assert keys(taken(faces)) == list(range(many))


def test_what_a_new_utterance_makes_void_never_comes(faces: LocalFaces) -> None:
    faces.ask(wanted(*range(BATCH + 2)))
    faces.begin()
    assert faces.asked == 0
    faces.flush()
    faces.ask(wanted(50))
    faces.flush()
    assert keys(taken(faces)) == [50]


def test_a_rewind_takes_the_sound_away_and_not_the_faces_asked_for(faces: LocalFaces) -> None:
    faces.ask(wanted(20))
    faces.rewind(30 * STEP)
    faces.ask(wanted(20))
    faces.hear(speech()[30 * STEP :].tobytes())
    faces.ask(wanted(20))
    faces.flush()
    before, without, again = taken(faces)
    assert np.array_equal(before.pixels, again.pixels)
    assert not np.array_equal(before.pixels, without.pixels)


def test_without_networks_nothing_can_be_asked() -> None:
    fresh = LocalFaces(least, BATCH)
    assert fresh.asked == 0
    with pytest.raises(HeadError, match="before the networks were loaded"):
        fresh.ask(wanted(1))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((2, 4, 32, 32), np.float16), r"float16 \(2, 4, 32, 32\) instead"),
        (np.zeros((2, 8, 32, 32), np.float32), "float32"),
        (np.zeros((0, 8, 32, 32), np.float16), r"\(0, 8"),
    ],
)
def test_tensors_of_another_shape_are_an_asset_error(tmp_path: Path, array: np.ndarray, said: str) -> None:
    np.save(tmp_path / "latents.npy", array)
    with pytest.raises(AssetError, match=said):
        LocalFaces(least, BATCH).load(tmp_path / "latents.npy")


def test_missing_and_damaged_tensors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "latents.npy"
    with pytest.raises(AssetError, match=r"latents\.npy: the avatar's tensors are missing -> broadcaster avatar"):
        LocalFaces(least, BATCH).load(path)
    np.save(path, np.zeros((1, 8, 32, 32), np.float16))
    endless = path.read_bytes().replace(b"}", b"(")  # numpy's own reader lets an error of the tokenizer through
    for content in (b"", b"\x93NUMPY\x01\x00", b"<html>", b"PK\x03\x04", endless):
        path.write_bytes(content)
        with pytest.raises(AssetError, match="damaged"):
            LocalFaces(least, BATCH).load(path)


def test_sessions_share_a_batch_with_latents_of_their_own() -> None:
    dice = np.random.default_rng(8)
    generator = FaceGenerator(least(), BATCH, SHORT)
    one, other = (generator.hold(dice.normal(size=(2, 8, 32, 32)).astype(np.float16)) for _ in range(2))
    heard = SoundWindow(SHORT).heard(0)
    jobs = [Job(one, 0, heard), Job(other, 0, heard), Job(one, 1, heard), Job(one, 0, heard)]
    generator.submit(jobs)
    mixed = generator.take() or []
    assert np.array_equal(mixed[0], mixed[3])
    assert not np.array_equal(mixed[0], mixed[1])
    generator.submit([jobs[1]])
    assert np.array_equal((generator.take() or [])[0], mixed[1])
    assert generator.in_flight == 0
    assert generator.take() is None


def test_a_generator_takes_so_many_batches_and_known_rows() -> None:
    generator = FaceGenerator(least(), 1, SHORT)
    assert "off line only" in generator.note
    held = generator.hold(np.zeros((1, 8, 32, 32), np.float16))
    job = Job(held, 0, SoundWindow(SHORT).heard(0))
    with pytest.raises(HeadError, match="row 1 of an avatar with 1"):
        generator.submit([replace(job, row=1)])
    for _ in range(DEPTH):
        assert generator.room
        generator.submit([job])
    assert not generator.room
    with pytest.raises(ValueError, match="in flight"):
        generator.submit([job])
    with pytest.raises(ValueError, match="0 faces"):
        FaceGenerator(least(), 1, SHORT).submit([])


def test_networks_that_do_not_fit_each_other_are_a_head_error() -> None:
    wide = torch.nn.Module.requires_grad_(torch.nn.Conv2d(3, 4, 1), False)
    broken = replace(least(), unet=lambda latents, *_args, **_kw: (wide(latents),))
    with pytest.raises(HeadError, match="the networks could not be started: ") as caught:
        FaceGenerator(broken, 1, SHORT)
    assert not caught.value.retryable


def test_weights_that_give_no_numbers_are_not_taken_on_air() -> None:
    broken = replace(least(), decoder=lambda made: least().decoder(made) * float("nan"))
    with pytest.raises(HeadError, match=r"no numbers: their weights are damaged -> broadcaster models check") as err:
        FaceGenerator(broken, 1, SHORT)
    assert not err.value.retryable


def test_a_full_device_is_worth_another_try_later() -> None:
    def unet(*_: object, **_named: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity of")

    with pytest.raises(HeadError, match=r"CUDA out of memory -> free some .* a smaller head\.musetalk\.batch") as err:
        FaceGenerator(replace(least(), unet=unet), 1, SHORT)
    assert err.value.retryable


def test_what_is_closed_holds_no_networks(latents: Path) -> None:
    class Gone(torch.nn.Module):
        def forward(self, *arguments: object, **named: object) -> object:
            return least().unet(*arguments, **named)

    unet = Gone()
    made = replace(least(), unet=unet)
    held = weakref.ref(unet)
    generator = FaceGenerator(made, 1, SHORT)
    del unet, made
    assert held() is not None
    generator.close()
    assert held() is None


def test_a_device_that_hangs_does_not_hold_up_the_close() -> None:
    class Stuck:
        def ready(self, timeout: float) -> bool:
            asked.append(timeout)
            return False

    asked: list[float] = []
    generator = FaceGenerator(least(), 1, SHORT)
    generator._pending.append(Stuck())
    generator.close()
    assert asked == [CLOSE_S]


def test_a_batch_that_fails_closes_the_faces_and_they_can_be_loaded_again(latents: Path) -> None:
    calls = 0

    def unet(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore of it")
        return least().unet(*arguments, **named)

    faces = LocalFaces(lambda: replace(least(), unet=unet), 1, SHORT)
    faces.load(latents)
    with pytest.raises(
        HeadError, match=r"a batch of faces failed: CUDA error: an illegal memory access was enc"
    ) as err:
        faces.ask(wanted(1))
    assert err.value.retryable
    assert faces.asked == 0
    with pytest.raises(HeadError, match="before the networks"):
        faces.ask(wanted(1))
    faces.load(latents)
    faces.ask(wanted(1))
    assert keys(faces.take(10)) == [1]
