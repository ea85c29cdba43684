"""The two common hubs through their own client libraries: what a repository has, and its files, resumed where they
broke off. Runs in the command `broadcaster models`.

Addresses, mirrors and tokens are the libraries' own settings: HF_ENDPOINT, HF_TOKEN, MODELSCOPE_ENDPOINT,
MODELSCOPE_API_TOKEN, and HTTPS_PROXY for both.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from broadcaster.errors import AssetError, ConfigError
from broadcaster.head.models.catalogue import HubName

Report = Callable[[int], None]
"""Takes how many bytes more there are; negative when some were lost again."""

ELSEWHERE: Final = (
    "check the connection and HTTPS_PROXY, take the other hub (--hub), or bring the files: --from FOLDER"
)


SLOWEST_S: Final = 86_400
"""The longest that one file may take: 3.4 GB at 40 KB a second. The client's own limit is an hour."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One file as a hub declares it. `blob` is Git's hash of a file that is not in large-file storage."""

    path: str
    size: int
    sha256: str | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    repository: str
    revision: str
    files: dict[str, Remote]


class Hub(Protocol):
    name: HubName

    def listing(self, repository: str) -> Listing | None:
        """None when the hub has no such repository, or does not show it. Raises AssetError for everything else."""

    def fetch(self, listing: Listing, remote: Remote, folder: Path, report: Report) -> Path:
        """The file, whole, below `folder`; what an earlier call left there is gone on with. Raises AssetError."""


def open_hub(name: HubName) -> Hub:
    """Raises ConfigError when the client library is not installed."""
    return HuggingFace() if name == "huggingface" else ModelScope()


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        raise ConfigError(
            f"the package {err.name} is not installed -> pip install 'broadcaster[musetalk]', or bring the files "
            "yourself: broadcaster models pull musetalk --from FOLDER"
        ) from err


def _leftover(path: Path, size: int) -> int:
    """Bytes of an earlier attempt that can be gone on with."""
    have = path.stat().st_size if path.exists() else 0
    if have > size:
        path.unlink()
        return 0
    return have


@contextmanager
def _translated(what: str, where: str) -> Iterator[None]:
    """A full disk and a broken connection in our words; the rest each hub translates itself."""
    try:
        yield
    except AssetError:
        raise
    except OSError as err:
        if err.errno in (errno.ENOSPC, errno.EDQUOT):
            raise AssetError(
                f"{what}: the disk is full -> free some space and repeat; it goes on from there"
            ) from err
        raise AssetError(
            f"{what}: {where} broke off ({_first_line(err)}) -> repeat, it goes on from there; else {ELSEWHERE}"
        ) from err


def _first_line(err: BaseException) -> str:
    return str(err).strip().partition("\n")[0][:120] or type(err).__name__


class HuggingFace:
    name: HubName = "huggingface"

    def __init__(self) -> None:
        self._hub = _library("huggingface_hub")
        self._errors = _library("huggingface_hub.errors")
        # The library reads it when it is imported; here it counts when the command runs.
        self._endpoint = (os.environ.get("HF_ENDPOINT") or _library("huggingface_hub.constants").ENDPOINT).rstrip("/")

    def listing(self, repository: str) -> Listing | None:
        with self._translated(repository):
            try:
                info = self._hub.HfApi(endpoint=self._endpoint).model_info(repository, files_metadata=True)
            except self._errors.GatedRepoError as err:
                raise AssetError(self._refused(repository, 403)) from err
            except self._errors.RepositoryNotFoundError:
                return None
        files = {
            each.rfilename: Remote(each.rfilename, each.size or 0, each.lfs and each.lfs.sha256, each.blob_id)
            for each in info.siblings or ()
        }
        return Listing(repository, info.sha, files)

    def fetch(self, listing: Listing, remote: Remote, folder: Path, report: Report) -> Path:
        """By the library's `http_get`, because `hf_hub_download` throws a part away when it is interrupted."""
        download = _library("huggingface_hub.file_download")
        part = folder / f"{remote.sha256 or remote.blob or listing.revision}.part"
        with self._translated(f"{listing.repository}/{remote.path}"):
            url = self._hub.hf_hub_url(
                listing.repository, remote.path, revision=listing.revision, endpoint=self._endpoint
            )
            headers = _library("huggingface_hub.utils").build_hf_headers()
            told = self._hub.get_hf_file_metadata(url, endpoint=self._endpoint)
            if urlsplit(told.location).netloc != urlsplit(url).netloc:
                headers.pop("authorization", None)  # a signed address of another host
            have = _leftover(part, remote.size)
            report(have)
            with part.open("ab") as file:
                download.http_get(
                    told.location,
                    file,
                    resume_size=have,
                    headers=headers,
                    expected_size=remote.size or None,
                    tqdm_class=_counter(report),
                )
        return part

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        errors = self._errors
        httpx = _library("httpx2")
        with _translated(what, self._endpoint):
            try:
                yield
            except errors.OfflineModeIsEnabled as err:
                raise AssetError(
                    f"{what}: HF_HUB_OFFLINE is set -> unset it, or bring the files: --from FOLDER"
                ) from err
            except errors.HfHubHTTPError as err:
                raise AssetError(self._refused(what, err.response.status_code)) from err
            except httpx.HTTPError as err:
                raise AssetError(
                    f"{what}: {self._endpoint} cannot be reached, or broke off ({_first_line(err)}) -> repeat, it "
                    f"goes on from there; set HF_ENDPOINT to a mirror, or {ELSEWHERE}"
                ) from err

    def _refused(self, what: str, status: int) -> str:
        return _refusal(what, self._endpoint, status, "HF_TOKEN")


class ModelScope:
    name: HubName = "modelscope"

    def __init__(self) -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # its bars would be drawn through ours
        os.environ.setdefault("MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT", str(SLOWEST_S))
        self._hub = _library("modelscope_hub")
        self._errors = _library("modelscope_hub.errors")
        # A configuration of its own each time: the library's default one is made once, with the addresses of then.
        config = self._hub.HubConfig()
        self._api = self._hub.HubApi(config=config)
        self._endpoint = config.endpoint

    def listing(self, repository: str) -> Listing | None:
        with self._translated(repository):
            try:
                files = self._api.list_repo_files(repository, "model")
            except self._errors.NotExistError:
                return None
        return Listing(
            repository,
            "master",
            {each.path: Remote(each.path, each.size, each.sha256 or None) for each in files if not each.is_dir},
        )

    def fetch(self, listing: Listing, remote: Remote, folder: Path, report: Report) -> Path:
        with self._translated(f"{listing.repository}/{remote.path}"):
            path = self._api.downloader.download_file(
                listing.repository,
                "model",
                remote.path,
                revision=listing.revision,
                cache_dir=folder,
                local_dir=folder / (remote.sha256 or listing.revision),
                expected_sha256=remote.sha256,
                file_size=remote.size,
                progress_callbacks=[_counter(report)],
            )
        return Path(path)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        errors = self._errors
        with _translated(what, self._endpoint):
            try:
                yield
            except errors.FileIntegrityError as err:
                raise AssetError(
                    f"{what}: what {self._endpoint} sends is not what it declares ({_first_line(err)}) -> repeat "
                    f"later, or {ELSEWHERE}"
                ) from err
            except errors.NetworkError as err:
                raise AssetError(
                    f"{what}: {self._endpoint} cannot be reached, or broke off ({_first_line(err)}) -> repeat, it "
                    f"goes on from there; set MODELSCOPE_ENDPOINT, or {ELSEWHERE}"
                ) from err
            except errors.APIError as err:
                status = getattr(err, "status_code", None) or 0
                raise AssetError(_refusal(what, self._endpoint, status, "MODELSCOPE_API_TOKEN")) from err
            except errors.HubError as err:
                raise AssetError(f"{what}: {self._endpoint}: {_first_line(err)} -> repeat, or {ELSEWHERE}") from err


def _refusal(what: str, endpoint: str, status: int, token: str) -> str:
    if status in (401, 403, 407):
        return (
            f"{what}: {endpoint} refuses it (status {status}) -> set {token} to a token that may read it, or "
            f"{ELSEWHERE}"
        )
    if status == 404:
        return f"{what}: {endpoint} does not have it (status 404) -> {ELSEWHERE}"
    if status == 429:
        return f"{what}: {endpoint} takes no more requests for now (status 429) -> wait a while and repeat"
    return f"{what}: {endpoint} answers with status {status} -> repeat later, or {ELSEWHERE}"


def _counter(report: Report) -> type[Any]:
    """What both libraries take for a progress bar."""

    class Counter:
        def __init__(self, *_: object, **__: object) -> None: ...

        def update(self, count: int = 1) -> None:
            report(int(count))

        def end(self) -> None: ...

        def close(self) -> None: ...

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None: ...

    return Counter
