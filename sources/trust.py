"""Whom sources trust when they connect to a platform: the authorities of this machine. Read in a thread."""

from __future__ import annotations

import asyncio
import functools
import ssl

import httpx


@functools.lru_cache(maxsize=1)
def authorities() -> ssl.SSLContext:
    """Blocking."""
    return httpx.create_ssl_context()


async def trust() -> ssl.SSLContext:
    """For requests and websockets. Read once: that takes 35 ms, which would hold up the loop."""
    return await asyncio.to_thread(authorities)
