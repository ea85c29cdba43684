"""The error tree. Whether an error may be retried is decided where the third-party error is translated.

BroadcasterError
├── ConfigError            a bad or incomplete configuration: file, key, what is wrong, what to do (exit 78)
├── AlreadyRunning         another instance holds this channel's lock
├── NotRunning             no daemon answers for this channel
├── Refused                a running daemon said no to a command (reason is for people)
├── JournalError           the journal cannot be read or written: where, why, what to do
├── WireError              a peer process broke the message framing
├── AssetError             an avatar, model or font file is missing, damaged or of the wrong kind
├── RenderError            an off-line render could not be finished
└── AdapterError           an adapter's run ended; `retryable` says whether another run may help
    ├── SourceError          + `at_once`: its session is over, and the next can begin without waiting
    ├── SinkError          + `kind`: why the sink ended (SinkFailure)
    ├── VoiceError         + `denied`: the engine takes nothing at all as it is set up
    ├── HeadError
    ├── BrainError         + `denied`, `retry_after_s`
    │   ├── CutOff         the answer was long enough for the server: no fault of the link
    │   └── Stale          the question is too old to be answered
    └── EncoderError
"""

from __future__ import annotations

from enum import StrEnum


class BroadcasterError(Exception):
    """Base of everything this project raises on purpose."""


class ConfigError(BroadcasterError):
    """One or more faults of the configuration; every line names file, key, fault and remedy."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AlreadyRunning(BroadcasterError):
    pass


class NotRunning(BroadcasterError):
    pass


class Refused(BroadcasterError):
    """`code` is for machines ("panicked", "full", "forbidden", ...; the list is `sources.schema.ErrorCode`)."""

    def __init__(self, message: str, code: str = "refused") -> None:
        super().__init__(message)
        self.code = code


class JournalError(BroadcasterError):
    pass


class WireError(BroadcasterError):
    pass


class AssetError(BroadcasterError):
    pass


class RenderError(BroadcasterError):
    pass


class AdapterError(BroadcasterError):
    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class SourceError(AdapterError):
    """`at_once`: nothing is wrong, but a session has ended at its platform; a new one is begun without a pause."""

    def __init__(self, message: str, *, retryable: bool = True, at_once: bool = False) -> None:
        super().__init__(message, retryable=retryable)
        self.at_once = at_once and retryable


class SinkFailure(StrEnum):
    """Why a sink ended, as its policy needs to know it (facts: refusals look alike, so TCP is probed first)."""

    UNREACHABLE = "unreachable"  # name not found, connection refused, no route
    SILENT = "silent"  # connected, but no answer to the handshake
    REFUSED = "refused"  # refused after connecting: probably a wrong key or application
    BUSY = "busy"  # already publishing: often our own half-dead session
    LOST = "lost"  # was healthy, then reset, closed or stopped reading
    STORAGE = "storage"  # disk full or not writable
    INTERNAL = "internal"  # everything else


class SinkError(AdapterError):
    def __init__(self, message: str, kind: SinkFailure, *, retryable: bool = True) -> None:
        super().__init__(message, retryable=retryable)
        self.kind = kind


class VoiceError(AdapterError):
    """`retryable=False` alone: this text was refused, and would be again; another text may well be spoken.

    `denied`: the engine refuses whatever it is asked, until somebody changes its settings or its account (a wrong
    key, no credit, no such voice). It is not asked again for a while.
    """

    def __init__(self, message: str, *, retryable: bool = True, denied: bool = False) -> None:
        super().__init__(message, retryable=retryable and not denied)
        self.denied = denied


class HeadError(AdapterError):
    pass


class BrainError(AdapterError):
    """`denied`: the server refuses whatever it is asked until somebody changes settings or account (a wrong key, no
    credit, no such model). `retry_after_s`: how long the server wants to be left alone, None where it says nothing.
    """

    def __init__(
        self, message: str, *, retryable: bool = True, denied: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, retryable=retryable and not denied)
        self.denied = denied
        self.retry_after_s = retry_after_s


class CutOff(BrainError):
    """What there is of the answer ends at its last whole sentence."""

    def __init__(self, place: str) -> None:
        super().__init__(f"{place} cut its answer off at the most tokens -> raise brain.max_tokens", retryable=False)


class Stale(BrainError):
    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=False)


class EncoderError(AdapterError):
    pass
