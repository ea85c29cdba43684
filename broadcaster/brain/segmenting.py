"""jieba's dictionary of Chinese words, loaded once per process (0.8 s, some 60 MB). Blocking; in a thread."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

_loading = threading.Lock()
_tokenizer: Any = None


def tokenizer(cache: Path | None) -> Any:
    """jieba's tokenizer. By itself it would keep its dictionary in the shared temporary folder, which is not safe:
    `cache` is a private folder for it, None keeps it in memory only."""
    global _tokenizer
    with _loading:
        if _tokenizer is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its regular expressions are not raw strings
                import jieba
            jieba.setLogLevel("WARNING")
            made = jieba.Tokenizer()
            if cache is not None:
                cache.mkdir(mode=0o700, parents=True, exist_ok=True)
                made.tmp_dir = str(cache)
                made.initialize()
            else:
                made.FREQ, made.total = made.gen_pfdict(made.get_dict_file())
                made.initialized = True
            _tokenizer = made
        return _tokenizer
