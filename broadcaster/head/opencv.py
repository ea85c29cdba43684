"""OpenCV for this process, with its thread count said explicitly: its own default takes every core."""

from __future__ import annotations

from typing import Any


def opencv(threads: int | None = None) -> Any:
    """The module, imported on first use; `threads` sets how many cores its calls may take."""
    import cv2

    if threads is not None:
        cv2.setNumThreads(threads)
    return cv2
