"""voice list, voice try: the voices of the configuration, without a running channel."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import wave
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from broadcaster.cli import voice_own
from broadcaster.cli.common import ConfigOption, JsonOption, load
from broadcaster.cli.prompts import PitchOption, SpeedOption
from broadcaster.config import LoadedConfig, secrets_of
from broadcaster.config.checks import find_avatar
from broadcaster.errors import BroadcasterError, ConfigError, Refused
from broadcaster.paths import channel_paths
from broadcaster.redact import Redactor

if TYPE_CHECKING:
    from broadcaster.speech.trial import Trial
    from broadcaster.types import Manner

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Try voices, and add one of your own.")

GENDERS: Final = {"f": "female", "m": "male"}
LANGUAGES: Final = {"z": "zh", "a": "en"}
"""Of Kokoro's voice names: zf_xiaoxiao is a female voice for Chinese."""


@app.callback()
def voice() -> None:
    """Try voices, and add one of your own."""


@dataclass(frozen=True, slots=True)
class Row:
    """One voice of the chain, as `voice list` shows it."""

    name: str
    engine: str
    enabled: bool
    languages: list[str]
    voice: str
    problems: list[str]


# -- list -----------------------------------------------------------------------------------------------------------


@app.command("list")
def list_voices(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the voices, first to last, and what each needs.

    Then the embedded voices, which `voice.zh`, `voice.en` and `--voice` of `say` take.
    """
    loaded = load(config)
    rows = [*_chain_rows(loaded), _embedded_row(loaded)]
    embedded = _embedded_voices(loaded)
    if as_json:
        data = {"chain": [asdict(row) for row in rows], "embedded": embedded}
        typer.echo(json.dumps(data, ensure_ascii=False, indent=2))
        return
    for number, row in enumerate(rows, 1):
        state = ("ready" if not row.problems else "NOT READY") if row.enabled else "off"
        colour = {"ready": typer.colors.GREEN, "NOT READY": typer.colors.RED}.get(state)
        typer.echo(
            f"{number}. {row.name:<20} {row.engine:<17} {' '.join(row.languages):<6} "
            + typer.style(f"{state:<10}", fg=colour)
            + f" {row.voice}".rstrip()
        )
        for problem in row.problems:
            typer.echo(f"   {problem}")
    typer.echo("\nEmbedded voices:")
    for each in embedded:
        typer.echo(f"   {each['name']:<20} {each['language']:<3} {each['gender']}".rstrip())


def _chain_rows(loaded: LoadedConfig) -> list[Row]:
    from broadcaster.speech.readiness import engine_of, problems, voice_of

    avatar = find_avatar(loaded.config.avatar, loaded.base)
    return [
        Row(link.label, engine_of(link), link.enabled, list(link.languages), voice_of(link), problems(link, avatar))
        for link in loaded.config.voice.chain
    ]


def _embedded_row(loaded: LoadedConfig) -> Row:
    from broadcaster.speech.engines import problems

    own = loaded.config.voice
    return Row(own.engine, own.engine, True, ["zh", "en"], f"{own.zh}, {own.en}", problems(own))


def _embedded_voices(loaded: LoadedConfig) -> list[dict[str, str]]:
    from broadcaster.registry import SYNTHESISERS, resolve

    voices: tuple[str, ...] = resolve(SYNTHESISERS, loaded.config.voice.engine, "voice engine").voices
    return [
        {"name": name, "language": LANGUAGES.get(name[:1], ""), "gender": GENDERS.get(name[1:2], "")}
        for name in voices
    ]


# -- try ------------------------------------------------------------------------------------------------------------


@app.command("try")
def try_voice(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")],
    name: Annotated[
        str | None,
        typer.Option(
            "--voice", metavar="LINK", help="A voice of the chain by its name, on or off. Default: the first."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Try every voice that is on, one after the other.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="WAV file to write; --all puts the voice's name in its name."
        ),
    ] = None,
    speed: SpeedOption = None,
    pitch: PitchOption = None,
    speaker: Annotated[
        str | None, typer.Option("--speaker", metavar="NAME", help="A voice of that engine, instead of the set one.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Have one voice speak a text into a WAV file, and measure it.

    It needs no running channel. The voice is asked and its sound finished as on air, but no other voice takes over
    when it fails: the failure is what you want to see.

    \b
    broadcaster voice try "今天天气晴朗，适合出门走走。"
    broadcaster voice try "Good evening." --voice kokoro --speaker am_michael --out evening.wav
    broadcaster voice try "大家好。" --all --json
    """
    loaded = load(config)
    hide = Redactor(secrets_of(loaded.config))
    names = _chosen(loaded, name, every)
    from broadcaster.types import Manner

    manner = Manner(1.0 if speed is None else speed, pitch or 0.0, speaker or "")
    results: list[dict[str, Any]] = []
    for each in names:
        try:
            path = _file_for(out, each, several=every)
            _refuse_speaker(loaded, each, speaker)
            if not os.access(path.parent, os.W_OK | os.X_OK) or path.is_dir():  # found before anybody is paid
                raise ConfigError(f"{path}: cannot be written -> name another file with --out")
            trial = _attempted(loaded, each, text, manner)
            _write(path, trial)
        except BroadcasterError as err:
            results.append({"voice": each, "error": hide(str(err))})
        else:
            results.append(_figures(each, trial, path))
        if not as_json:
            _show(results[-1])
    if as_json:
        typer.echo(json.dumps(results, ensure_ascii=False, indent=2))
    if any("error" in result for result in results):
        raise typer.Exit(1)


def _chosen(loaded: LoadedConfig, name: str | None, every: bool) -> list[str]:
    """Names of the voices to try. Raises Refused for one that is not in the configuration."""
    settings = loaded.config.voice
    on = [link.label for link in settings.chain if link.enabled]
    if every:
        return [*on, settings.engine]
    known = [*(link.label for link in settings.chain), settings.engine]
    chosen = name or [*on, settings.engine][0]
    if chosen not in known:
        raise Refused(f"there is no voice named {chosen!r} -> use one of: {', '.join(known)}")
    return [chosen]


def _refuse_speaker(loaded: LoadedConfig, name: str, speaker: str | None) -> None:
    """On air a name that the embedded voice does not know is ignored; who tries one wants to hear it."""
    own = loaded.config.voice
    known = [voice["name"] for voice in _embedded_voices(loaded)] if name == own.engine else []
    if speaker and known and speaker not in known:
        raise Refused(f"{name} has no voice {speaker!r} -> use one of: {', '.join(known)}")


def _attempted(loaded: LoadedConfig, name: str, text: str, manner: Manner) -> Trial:
    from broadcaster.speech.opening import opened
    from broadcaster.speech.trial import attempt

    config = loaded.config
    paths = channel_paths(config.channel, config.state_dir)
    avatar = find_avatar(config.avatar, loaded.base)
    shown = sys.stderr.isatty()

    def progress(done: int, of: int, seconds: float) -> None:
        if shown:
            typer.echo(f"\r{name}: {done} of {of} pieces, {seconds:.1f} s of sound", nl=done == of, err=True)

    async def run() -> Trial:
        if shown:
            typer.echo(f"{name}: starting", nl=False, err=True)
        async with opened(config.voice, name, avatar, paths.cache) as voice:
            return await attempt(voice, text, manner, progress)

    return asyncio.run(run())


def _file_for(out: Path | None, name: str, *, several: bool) -> Path:
    if out is None:
        return Path(f"voice-{name}.wav")
    return out.with_name(f"{out.stem}-{name}{out.suffix}") if several else out


def _write(path: Path, trial: Trial) -> None:
    from broadcaster.types import SAMPLE_RATE

    try:
        with path.open("wb") as target, wave.open(target, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(trial.pcm.astype("<i2").tobytes())
    except OSError as err:
        raise ConfigError(f"{path}: cannot be written ({err.strerror}) -> name another file with --out") from err


def _figures(name: str, trial: Trial, path: Path) -> dict[str, Any]:
    return {
        "voice": name,
        "engine": trial.engine,
        "file": str(path),
        "seconds": round(trial.seconds, 2),
        "pieces": trial.pieces,
        "first_sound_ms": round(1000 * trial.first_sound_s),
        "real_time_factor": round(trial.real_time_factor, 3),
        "characters_per_second": round(trial.characters_per_second, 2),
        "loudness_lufs": round(trial.loudness_lufs, 1),
        "true_peak_dbtp": round(trial.true_peak_dbtp, 1),
    }


def _show(result: dict[str, Any]) -> None:
    if "error" in result:
        typer.echo(f"{result['voice']}: {result['error']}", err=True)
        return
    typer.echo(f"{result['file']}: {result['seconds']:.1f} s, spoken by {result['engine']}")
    typer.echo(f"  first sound       {result['first_sound_ms']} ms after the request")
    typer.echo(f"  real-time factor  {result['real_time_factor']:.2f} (below 1: ahead of the air)")
    typer.echo(f"  pace              {result['characters_per_second']:.1f} characters per second")
    typer.echo(
        f"  loudness          {result['loudness_lufs']:.1f} LUFS, true peak {result['true_peak_dbtp']:.1f} dBTP"
    )


app.command()(voice_own.add)
app.command()(voice_own.remove)
