"""Whether a person has agreed that their voice or face is used: by options in a script, asked in a terminal."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import typer

from broadcaster.errors import Refused


@dataclass(frozen=True, slots=True)
class Wording:
    """How one kind of use is told."""

    question: str
    """Asks for the person's name."""
    use: str
    """What is agreed to, after "has agreed that"."""
    scope: str
    """What they usually agree to."""
    refusal: str
    """What becomes of it without consent."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the options --consent-by, --i-have-consent and --scope say."""

    by: str | None
    given: bool
    scope: str | None

    @property
    def anything(self) -> bool:
        return self.by is not None or self.given


@dataclass(frozen=True, slots=True)
class Consent:
    person: str
    given_by: str
    """The person, or who may speak for them."""
    scope: str


def consent_of(told: Told, wording: Wording) -> Consent:
    """From the options, else asked. Raises Refused without a consent."""
    if told.anything:
        if told.by is None or not told.by.strip() or not told.given:
            raise Refused("a consent needs a name and the fact -> give both --consent-by NAME and --i-have-consent")
        return Consent(told.by.strip(), told.by.strip(), (told.scope or wording.scope).strip())
    if not sys.stdin.isatty():
        raise Refused(
            "nobody can be asked for consent here -> run it in a terminal, or add --consent-by NAME --i-have-consent "
            "if that person has agreed"
        )
    person = typer.prompt(wording.question).strip()
    agreed_to = told.scope or typer.prompt("What did they agree to?", default=wording.scope).strip()
    given_by = typer.prompt("Who gave the consent?", default=person).strip()
    if not typer.confirm(f"Has {given_by} agreed that {wording.use} for: {agreed_to}?", default=False):
        raise Refused(wording.refusal)
    return Consent(person, given_by, agreed_to)
