"""moderate: what becomes of a text, and why, without a running channel."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broadcaster.cli.common import ConfigOption, JsonOption, load
from broadcaster.errors import ConfigError
from broadcaster.paths import channel_paths

if TYPE_CHECKING:
    from broadcaster.brain.moderation.findings import Finding
    from broadcaster.brain.moderation.gate import Moderation


def moderate(
    texts: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="What somebody writes or the host would say.")
    ],
    out: Annotated[
        bool, typer.Option("--out", help="Judge it as what the host would say, not as a viewer's.")
    ] = False,
    moderator: Annotated[
        bool, typer.Option("--moderator", help="Judge it as a moderator's: contacts and orders are allowed.")
    ] = False,
    name: Annotated[bool, typer.Option("--name", help="Judge it as the name of a viewer or a gift.")] = False,
    endpoint: Annotated[
        bool, typer.Option("--endpoint", help="Also ask the moderation endpoint, if one is configured.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell what becomes of a text, and why.

    Reads the word lists of the configuration as they are now, so that a change can be tried before anybody hears of
    it. Exit status 1 if any text does not pass as it stands.

    \b
    broadcaster moderate "加微信 abc123"
    broadcaster moderate --out "今天我们聊聊大麻哈鱼"
    broadcaster moderate --name "用户839127465" --json
    """
    loaded = load(config, quiet=True)
    from broadcaster.minds import gate_of

    cache = channel_paths(loaded.config.channel, loaded.config.state_dir).cache
    gate = gate_of(loaded.config.moderation, cache, asking=endpoint)
    if endpoint and gate.status()["endpoint"] is None:
        raise ConfigError(f"{loaded.path}: moderation.endpoint.url is empty -> set it, or leave out --endpoint")
    found = [_named(gate, text) for text in texts] if name else asyncio.run(_judged(gate, texts, out, moderator))
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for each in found:
            typer.echo(_shown(each))
    if any(each["verdict"] != "pass" for each in found):
        raise typer.Exit(1)


async def _judged(gate: Moderation, texts: list[str], out: bool, moderator: bool) -> list[dict[str, Any]]:
    from broadcaster.brain.moderation.judge import Case
    from broadcaster.types import Origin, Role

    origin = Origin("cli", role=Role.MODERATOR if moderator else Role.VIEWER)
    found = []
    for text in texts:
        verdict = await gate.admit(text, origin) if out else (await gate.hear([text], origin))[0]
        findings = gate.explain(Case(text, not out, moderator)).findings
        found.append(
            {
                "verdict": verdict.kind.value,
                "text": verdict.text,
                "reason": verdict.reason,
                "found": [_plain(text, finding) for finding in findings],
            }
        )
    await gate.close()
    return found


def _named(gate: Moderation, name: str) -> dict[str, Any]:
    said = gate.nickname(name)
    kind = "pass" if said == name else "replace" if said else "drop"
    findings = () if said else gate.name_findings(name)
    return {"verdict": kind, "text": said, "reason": "", "found": [_plain(name, finding) for finding in findings]}


def _plain(text: str, finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "name": finding.name,
        "action": finding.action,
        "at": finding.start,
        "part": text[finding.start : finding.end],
        "word": finding.word,
    }


def _shown(each: dict[str, Any]) -> str:
    lines = [f"{each['verdict']}: {each['text']}" if each["text"] else each["verdict"]]
    for found in each["found"]:
        word = f", as {found['word']}" if found["word"] and found["word"] != found["part"] else ""
        lines.append(f"  {found['check']} {found['name']}: {found['part']!r}{word} -> {found['action']}")
    if each["reason"].startswith("endpoint"):
        lines.append(f"  {each['reason']}")
    return "\n".join(lines)
