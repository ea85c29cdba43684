"""What goes on inside the official CosyVoice model during one piece, and how it is ended. Engine thread and watcher.

The model writes its speech tokens in a thread of its own (`llm_job`) into tables keyed by the piece, and makes sound
of them in the caller's generator, which polls those tables. Four habits of it matter to a program that runs for
weeks:

- an exception in that thread ends the thread and not the polling: the generator waits for ever;
- a generator that is dropped leaves the thread at work to the end of its piece, and its tables filled for good;
- the sound comes in steps that double from 1 s to 4 s and never go back: from the second piece on it hardly streams;
- nothing can be told to stop.

All of them are reached through the tables: a piece whose entry is taken out of them ends at its next token.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

log = logging.getLogger(__name__)

_TABLES: Final = (
    "tts_speech_token_dict", "llm_end_dict", "hift_cache_dict", "mel_overlap_dict", "flow_cache_dict",
)  # fmt: skip


class Jobs:
    """One piece at a time. `fault` is what ended the model's own thread, if anything did.

    With a model that works otherwise inside, nothing of this is done; it can then hang, and be cut only in its sound.
    """

    def __init__(self, model: Any) -> None:
        self.fault: BaseException | None = None
        inner: Any = getattr(model, "model", None)
        self._inner = inner
        self._step = getattr(inner, "token_hop_len", None)
        self._job: Any = getattr(inner, "llm_job", None)
        self._pieces: dict[str, threading.Thread] = {}
        if self._job is None or not all(hasattr(inner, name) for name in _TABLES[:2]):
            log.warning("this CosyVoice works otherwise inside than the one that is known: it may hang")
            return
        self._inner.llm_job = self._run

    def begin(self) -> None:
        """Before each piece."""
        self.fault = None
        self._pieces.clear()
        if self._step is not None:
            self._inner.token_hop_len = self._step

    def abandon(self) -> None:
        """Ends what is still going on; from any thread, more than once, and after a piece that ended well.

        Returns when it has ended, which takes it one token. One that hangs is waited for without end: the beats
        stop, and with the process goes what nothing else can stop.
        """
        for piece, thread in list(self._pieces.items()):
            self._forget(piece)
            thread.join()
            self._forget(piece)  # its last act may have been to say that it is done

    def _run(self, *arguments: Any, **named: Any) -> None:
        """Instead of `llm_job`, in the thread that the model starts for it; the piece is its last argument."""
        piece: str = named.get("uuid") or arguments[-1]
        self._pieces[piece] = threading.current_thread()
        tokens, ends = (getattr(self._inner, name) for name in _TABLES[:2])
        try:
            self._job(*arguments, **named)
        except BaseException as err:
            if piece in tokens:  # otherwise it was abandoned, and stumbled over that
                self.fault = err
                ends[piece] = True  # so that the generator goes on to its end

    def _forget(self, piece: str) -> None:
        for name in _TABLES:
            getattr(self._inner, name, {}).pop(piece, None)
