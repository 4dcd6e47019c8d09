"""Settings of glibc's allocator for processes of many threads.

Its defaults give each thread an arena of its own, and keep ever larger blocks in them once such a block was freed: a
server's resident memory then grows for hours towards the sum of what each thread once needed. See mallopt(3).
"""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Final

_KIB: Final = 1024
# Parameter numbers of <malloc.h>, and the variables with which an operator overrides them.
_SETTINGS: Final = {
    "MALLOC_ARENA_MAX": (-8, 2),
    "MALLOC_MMAP_THRESHOLD_": (-3, 128 * _KIB),
    "MALLOC_TRIM_THRESHOLD_": (-1, 128 * _KIB),
}


def settle() -> None:
    """Two arenas for all threads; blocks of 128 KiB and more go back to the system at once.

    To be called before threads are made. Does nothing where the C library is another one, and leaves alone what the
    operator has set by glibc's own environment variables.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for variable, (parameter, value) in _SETTINGS.items():
        if variable not in os.environ:
            mallopt(parameter, value)
