"""What a server's no means: its status, its code and the wait it asks for -> BrainError. Pure.

Nothing of the server's own words is passed on, its codes included: they may hold the key, or the question.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from broadcaster.errors import BrainError

LONGEST_WAIT_S: Final = 86_400.0
"""A server that wants to be left alone for longer is believed for a day."""

_KEY: Final = "check the key of this link"
_MODEL: Final = "check the model of this link"
_CREDIT: Final = "no credit is left: top up the account, or allow paid use"

_DENIED: Final = {
    401: _KEY,
    402: _CREDIT,
    403: "check that this key may use this model",
    404: "check the address and the name of the model",
    405: "check the address",
    410: _MODEL,
}
"""Whatever is asked, the answer is the same until somebody changes the settings or the account."""

_REFUSED: Final = frozenset({400, 413, 414, 415, 422, 431})
"""This request would get the same answer again; another one may be taken."""

_DENIED_CODES: Final = (
    ("insufficient_quota", _CREDIT),
    ("insufficient_balance", _CREDIT),
    ("billing", _CREDIT),
    ("arrearage", _CREDIT),
    ("freetieronly", _CREDIT),
    ("quota_exceeded", _CREDIT),
    ("invalid_api_key", _KEY),
    ("invalidapikey", _KEY),
    ("accessdenied", "check that this key may use this model"),
    ("unpurchased", "activate the service for this account"),
    ("model_not_found", _MODEL),
    ("modelnotfound", _MODEL),
    ("unsupportedmodel", _MODEL),
    ("app_unavailable", "publish the app, and check its model"),
    ("provider_not_initialize", "give the app's model provider a valid key"),
    ("model_currently_not_support", "choose another model in the app"),
)
"""Parts of codes, casefolded: OpenAI's and its like, DashScope's, Dify's."""

_REFUSED_CODES: Final = (
    ("content_filter", "its filter does not let this question pass"),
    ("content_policy", "its filter does not let this question pass"),
    ("inspection", "its filter does not let this question pass"),
    ("context_length", "the conversation is too long for the model: lower brain.memory.history_tokens"),
    ("invalidparameter", "check the settings of this link"),
    ("invalid_param", "check the settings of this link"),
    ("badrequest", "check the settings of this link"),
    ("bad_request", "check the settings of this link"),
)

_AGAIN: Final = re.compile(r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) ?(ms|s|m|h)?", re.IGNORECASE)
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def refused(place: str, status: int | None, codes: str = "", wait_s: float | None = None) -> BrainError:
    """`status` None: the answer had begun. `codes` is what the server calls the error, in one or more words."""
    what = f"{place} answered {status}" if status is not None else f"{place} broke off its answer with an error"
    named = codes.casefold()
    for part, remedy in _DENIED_CODES:
        if part in named:
            return BrainError(f"{what} -> {remedy}", denied=True)
    if status in _DENIED:
        return BrainError(f"{what} -> {_DENIED[status]}", denied=True)
    for part, remedy in _REFUSED_CODES:
        if part in named:
            return BrainError(f"{what} -> {remedy}", retryable=False)
    if status is not None and 300 <= status < 400:
        return BrainError(f"{what} -> check the address", denied=True)
    if status == 429:
        return BrainError(f"{what}: it is asked too often", retry_after_s=wait_s)
    return BrainError(what, retryable=status not in _REFUSED, retry_after_s=wait_s)


def filtered(place: str) -> BrainError:
    return BrainError(f"{place} broke off: its filter does not let this answer pass", retryable=False)


def empty(place: str) -> BrainError:
    return BrainError(f"{place} gave an empty answer")


def unfinished(place: str) -> BrainError:
    return BrainError(f"{place} ended in the middle of its answer")


def unreadable(place: str) -> BrainError:
    return BrainError(f"{place} sent something that is not the form of an answer")


def unconnected(place: str, waited_s: float | None = None) -> BrainError:
    """`waited_s`: the time-out that passed; None: nobody listens there."""
    if waited_s is None:
        return BrainError(f"no connection to {place} -> is the server running?")
    return BrainError(f"no connection to {place} in {waited_s:g} s")


def broken(place: str, err: BaseException, begun: bool) -> BrainError:
    """The connection or the form of the answer broke."""
    where = "in the middle of its answer" if begun else "before it answered"
    return BrainError(f"{place} broke off {where} ({type(err).__name__})")


def wait_asked(headers: Mapping[str, str], words: str = "", now: datetime | None = None) -> float | None:
    """Seconds (0 to a day) that a refusal asks to be left alone, by its headers or else by its message; None where
    neither says it. Names of headers in lower case. `now` is an aware time, for a date in Retry-After."""
    for found in (_by_header(headers, now or datetime.now(UTC)), _by_limits(headers), _by_words(words)):
        if found is not None:
            return min(max(found, 0.0), LONGEST_WAIT_S)
    return None


def _by_header(headers: Mapping[str, str], now: datetime) -> float | None:
    exact = _number(headers.get("retry-after-ms", ""))
    if exact is not None:
        return exact / 1000
    told = headers.get("retry-after", "")
    seconds = _number(told)
    if seconds is not None:
        return seconds
    try:
        until = parsedate_to_datetime(told)
    except (ValueError, TypeError):
        return None
    return (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def _by_limits(headers: Mapping[str, str]) -> float | None:
    """The longest reset among the limits that are used up (x-ratelimit-remaining-requests: 0 and the like)."""
    waits = []
    for name, left in headers.items():
        if name.startswith("x-ratelimit-remaining") and left.strip() == "0":
            reset = headers.get(name.replace("remaining", "reset"), "")
            parts = _SPAN.findall(reset)
            wait = sum(float(size) * _SECONDS[unit] for size, unit in parts) if parts else _number(reset)
            if wait is not None and wait <= LONGEST_WAIT_S:  # more is a moment in time, not a span
                waits.append(wait)
    return max(waits, default=None)


def _by_words(words: str) -> float | None:
    found = _AGAIN.search(words[:4096])
    return float(found[1]) * _SECONDS[(found[2] or "s").lower()] if found else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
