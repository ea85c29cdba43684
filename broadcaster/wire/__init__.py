"""Messages between the processes and their framing: 4-byte big-endian length, then one msgpack'd struct.

Who talks to whom (all over UNIX stream sockets in the channel's run directory):

    director ──Speak, End, Trim, Cut, Panic, SinkCommand> playout     (playout.sock, playout listens)
    playout  ──Welcome, Aired, PackageOnAir, SinkReply,
               PlayoutStatus────────────────────────────> director
    playout  ──Welcome, Anchor, Speak, End, Trim, Cut,
               Window───────────────────────────────────> head        (playout.sock, the head connects)
    head     ──Hello, Patch, HeadStatus─────────────────> playout
    director ──Synthesise, Cancel───────────────────────> voice       (voice.sock, voice listens; voice-local alike)
    voice    ──Hello, Synthesised, SynthesisFailed──────> director
    children ──Beat, Restart────────────────────────────> parent      (inherited socketpair)
    parent   ──Notice───────────────────────────────────> director    (the same socketpair)

Playout is the one that owns the sound and picks the start tick, so the head gets its speech from
playout and not from the director: one order of events, one connection less.

`messages` has the structs, `framing` the bytes and the connections. The parent imports this package and must stay
small: nothing here imports numpy when it is loaded.
"""

from broadcaster.wire.framing import (
    MAX_MESSAGE,
    Connection,
    decode,
    encode,
    pack_speech,
    read_message,
    unpack_speech,
)
from broadcaster.wire.messages import (
    Aired,
    Anchor,
    AnyMessage,
    Beat,
    Cancel,
    Cut,
    End,
    HeadStatus,
    Hello,
    Message,
    Notice,
    PackageOnAir,
    Panic,
    Patch,
    PlayoutStatus,
    Restart,
    SinkCommand,
    SinkReply,
    SinkStatus,
    Speak,
    Synthesise,
    Synthesised,
    SynthesisFailed,
    Trim,
    Welcome,
    Window,
)

__all__ = [
    "MAX_MESSAGE",
    "Aired",
    "Anchor",
    "AnyMessage",
    "Beat",
    "Cancel",
    "Connection",
    "Cut",
    "End",
    "HeadStatus",
    "Hello",
    "Message",
    "Notice",
    "PackageOnAir",
    "Panic",
    "Patch",
    "PlayoutStatus",
    "Restart",
    "SinkCommand",
    "SinkReply",
    "SinkStatus",
    "Speak",
    "SynthesisFailed",
    "Synthesise",
    "Synthesised",
    "Trim",
    "Welcome",
    "Window",
    "decode",
    "encode",
    "pack_speech",
    "read_message",
    "unpack_speech",
]
