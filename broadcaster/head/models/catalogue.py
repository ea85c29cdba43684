"""Which part of MuseTalk comes from which repository of which hub, and under which licence. Pure data.

The repositories of Hugging Face are those that MuseTalk's own README and download script name. Those of ModelScope
are taken from public scripts that download from there; a part that has more than one is looked for in this order. For
the tiny decoder no script names one. None of them could be reached when this was written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from broadcaster.head.musetalk.layout import Part, PartName

HubName = Literal["huggingface", "modelscope"]
HUBS: Final[tuple[HubName, ...]] = ("huggingface", "modelscope")


@dataclass(frozen=True, slots=True)
class Publication:
    """Where one part is published."""

    licence: str
    terms: str
    """What the licence says in one line, and where it is written."""
    repositories: dict[HubName, tuple[str, ...]]
    folder: str = ""
    """Of the part inside its repositories, with a slash at the end."""
    approximate_mb: int = 0
    """Of the weights alone; for messages before a hub was asked."""


_MUSETALK: Final[dict[HubName, tuple[str, ...]]] = {
    "huggingface": ("TMElyralab/MuseTalk",),
    "modelscope": ("TMElyralab/MuseTalk", "AI-ModelScope/MuseTalk"),
}
_MUSETALK_TERMS: Final = (
    "the trained model is available for any purpose, even commercially (README of github.com/TMElyralab/MuseTalk)"
)

PUBLISHED: Final[dict[PartName, Publication]] = {
    "unet-1.5": Publication("MuseTalk weights", _MUSETALK_TERMS, _MUSETALK, "musetalkV15/", 3_400),
    "unet-1.0": Publication("MuseTalk weights", _MUSETALK_TERMS, _MUSETALK, "musetalk/", 3_400),
    "vae": Publication(
        "MIT",
        "huggingface.co/stabilityai/sd-vae-ft-mse",
        {
            "huggingface": ("stabilityai/sd-vae-ft-mse",),
            "modelscope": ("AI-ModelScope/sd-vae-ft-mse", "stabilityai/sd-vae-ft-mse"),
        },
        approximate_mb=335,
    ),
    "sound": Publication(
        "MIT",
        "github.com/openai/whisper; its card on Hugging Face says Apache-2.0",
        {
            "huggingface": ("openai/whisper-tiny",),
            "modelscope": ("openai-mirror/whisper-tiny", "AI-ModelScope/whisper-tiny"),
        },
        approximate_mb=151,
    ),
    "taesd": Publication(
        "MIT",
        "github.com/madebyollin/taesd",
        {"huggingface": ("madebyollin/taesd",), "modelscope": ("madebyollin/taesd", "AI-ModelScope/taesd")},
        approximate_mb=10,
    ),
}


def files_of(part: Part, there: set[str]) -> list[str] | None:
    """What of a repository's files (paths) this part needs: configuration, the preferred weights, small extras.

    None when the repository does not have them.
    """
    folder = PUBLISHED[part.name].folder
    weights = next((name for name in part.weights if folder + name in there), None)
    if weights is None or folder + part.config_file not in there:
        return None
    extras = [name for name in part.extra_files if folder + name in there]
    return [folder + name for name in (part.config_file, weights, *extras)]


def place_of(part: Part, remote: str) -> str:
    """Where a repository's file lies in a folder of weights."""
    return f"{part.folders[0]}/{remote.rpartition('/')[2]}"
