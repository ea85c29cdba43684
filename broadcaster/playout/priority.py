"""Asks the kernel to run the tick thread promptly when it wakes. Called once, by that thread.

Linux 6.12 and later (EEVDF) let a thread choose its time slice without any privilege; one with a short slice that
wakes goes before one in the middle of a long slice, such as the voice synthesising on every core. Measured beside two
busy processes of nice 10: lateness P99 3.3 ms with the kernel's slice, under 1 ms with this one.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Final

SLICE_NS: Final = 100_000
"""The shortest that the kernel takes."""

_SYSCALLS: Final = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of sched_setattr and sched_getattr."""

_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""struct sched_attr, first version: size, policy, flags, nice, priority, runtime (the slice), deadline, period."""


def wake_promptly() -> bool:
    """Gives the calling thread the shortest slice; its nice value stays. False where the kernel does not know it."""
    numbers = _SYSCALLS.get(platform.machine())
    if numbers is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(numbers[0], 0, attributes, 0) == 0 and slice_ns() == SLICE_NS


def slice_ns() -> int:
    """Slice of the calling thread in nanoseconds; 0 where the kernel does not tell."""
    numbers = _SYSCALLS.get(platform.machine())
    if numbers is None:
        return 0
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if ctypes.CDLL(None, use_errno=True).syscall(numbers[1], 0, buffer, _ATTRIBUTES.size, 0) != 0:
        return 0
    return int(_ATTRIBUTES.unpack(buffer.raw)[5])
