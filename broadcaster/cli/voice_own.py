"""voice add, voice remove: a recording as the presenter's own voice, with its speaker's consent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from broadcaster.cli.common import ConfigOption, load
from broadcaster.cli.consent import Told, Wording, consent_of
from broadcaster.config.checks import find_avatar
from broadcaster.config.voices import Language
from broadcaster.errors import Refused

CONSENT: Final = Wording(
    question="Whose voice is this? (name)",
    use="this voice is imitated",
    scope="live and recorded broadcasts of this channel, spoken by a synthetic copy of the voice",
    refusal="without consent no voice is stored; nothing was written",
)

AvatarOption = Annotated[
    str | None, typer.Option("--avatar", metavar="NAME", help="The presenter, instead of the configuration's.")
]


def add(
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="WAV, FLAC, MP3 or M4A of 3 to 30 s (best: 5 to 10).")
    ],
    text: Annotated[
        str, typer.Option("--text", metavar="TEXT", help="Exactly what is said in it; @FILE reads a file.")
    ],
    avatar: AvatarOption = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="zh|en", help="What is spoken in it; else told from the text.")
    ] = None,
    consent_by: Annotated[
        str | None, typer.Option("--consent-by", metavar="NAME", help="Whose voice it is, for scripts.")
    ] = None,
    consented: Annotated[
        bool, typer.Option("--i-have-consent", help="With --consent-by: that person has agreed to this use.")
    ] = False,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="TEXT", help="What was agreed to, for the consent note.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a recording the presenter's own voice.

    Zero-shot engines of the chain (CosyVoice, GPT-SoVITS) then speak with it. The recording, its text and a note
    of its speaker's consent are kept in the presenter's folder; without the consent nothing is stored, and no engine
    uses a recording without the note.

    \b
    broadcaster voice add me.wav --text "今天天气晴朗，适合出门走走。"
    broadcaster voice add me.wav --text @me.txt --consent-by 李雷 --i-have-consent
    """
    loaded = load(config)
    folder = find_avatar(avatar or loaded.config.avatar, loaded.base)
    from datetime import UTC, datetime

    from broadcaster.speech import reference
    from broadcaster.speech.packing import language_of

    said = _text_of(text)
    spoken = _language(language or language_of(said))
    sound = reference.prepared(recording, said)
    consent = consent_of(Told(consent_by, consented, scope), CONSENT)
    made = reference.add(
        folder, sound, said, spoken,
        speaker=consent.person, given_by=consent.given_by, scope=consent.scope,
        date=datetime.now(UTC).astimezone().date(),
    )  # fmt: skip
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(
        f"{made.reference.recording}: {made.seconds:.1f} s of {consent.person}'s voice ({spoken}), {sound.rate} Hz.\n"
        f"The consent note is {made.reference.recording.with_name(reference.CONSENT)}."
    )
    users = [link.label for link in loaded.config.voice.chain if link.enabled and reference.needs_reference(link)]
    if not users:
        typer.echo("No voice of the chain uses it yet -> see docs/voices.md")


def remove(
    avatar: AvatarOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Delete the presenter's own voice.

    Recording, text and consent note are removed from the presenter's folder.
    """
    loaded = load(config)
    folder = find_avatar(avatar or loaded.config.avatar, loaded.base)
    from broadcaster.speech import reference

    if not yes and not typer.confirm(f"Delete {reference.folder_of(folder)}?"):
        raise typer.Exit(1)
    if not reference.remove(folder):
        raise Refused(f"{folder.name} has no voice of its own")
    typer.echo(f"{folder.name} has no voice of its own any more.")


def _text_of(given: str) -> str:
    if not given.startswith("@"):
        return given.strip()
    path = Path(given[1:])
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise typer.BadParameter(f"{path} cannot be read as UTF-8 text", param_hint="--text") from err


def _language(given: str) -> Language:
    if given == "zh":
        return "zh"
    if given == "en":
        return "en"
    raise typer.BadParameter("zh or en", param_hint="--language")
