"""Word lists that are read again when their files change. A task of the event loop; reads in threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from broadcaster.brain.moderation.judge import Lists
from broadcaster.brain.moderation.words import Words, files_of, read_words
from broadcaster.brain.segmenting import tokenizer
from broadcaster.errors import ConfigError
from broadcaster.redact import whereabouts

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Between two looks at the files. A change counts when two looks in a row see the same: an editor may be writing."""

_Print = tuple[tuple[str, int, int, int], ...]


class WordLists:
    """`path` is a file, a folder or None. `changed` is told new lists in the event loop.

    What cannot be read leaves the old lists in use, is told in the log once, and stands in `error`.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        pinyin: bool = True,
        cache: Path | None = None,
        look_s: float = LOOK_S,
    ) -> None:
        self.error = ""
        self.changed: Callable[[Lists], None] = lambda lists: None
        self._path = path
        self._pinyin = pinyin
        self._cache = cache
        self._look_s = look_s
        self._seen: _Print = ()
        self._read: _Print = ()

    def load(self) -> Lists:
        """Blocking, as `Lists.of`. Raises ConfigError."""
        if self._path is None:
            return self._built(Words())
        self._read = self._seen = self._print()
        return self._built(read_words(self._path))

    async def watch(self) -> None:
        """Looks once a second until it is cancelled."""
        while self._path is not None:
            await asyncio.sleep(self._look_s)
            lists = await asyncio.to_thread(self.look)
            if lists is not None:
                self.changed(lists)

    def look(self) -> Lists | None:
        """New lists when the files have changed since the last reading and rest now. Blocking."""
        seen, before = self._print(), self._seen
        self._seen = seen
        if seen == self._read or seen != before or self._path is None:
            return None
        self._read = seen
        try:
            lists = self._built(read_words(self._path))
        except ConfigError as err:
            problem = str(err)
        except Exception as err:  # a fault of the program must not end the watching, and be told to nobody
            log.error("reading the word lists broke", extra=whereabouts(err))
            problem = f"a fault of the program ({type(err).__name__})"
        else:
            self.error = ""
            log.info("the word lists were read again", extra={"words": len(lists.words.listed)})
            return lists
        if not self.error:
            log.warning("the word lists cannot be read; the old ones stay in use", extra={"problem": problem})
        self.error = problem
        return None

    def _built(self, words: Words) -> Lists:
        return Lists.of(words, self._tokenizer, pinyin=self._pinyin)

    def _tokenizer(self) -> Any:
        return tokenizer(self._cache)

    def _print(self) -> _Print:
        """What tells one state of the files from another; () when they cannot be looked at."""
        if self._path is None:
            return ()
        try:
            stats = [(str(file), file.stat()) for file in files_of(self._path)]
        except (ConfigError, OSError):
            return ()
        return tuple((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats)
