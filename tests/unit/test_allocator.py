"""Many threads share few arenas of glibc's allocator, so that memory does not grow with each thread's own peak."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys

import pytest

from securenet.run.config import PROJECT_DIR

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc's allocator")

THREADS = """
import ctypes, sys, threading
from securenet.run import allocator

if sys.argv[1] == "settled":
    allocator.settle()
together = threading.Barrier(12)

def work():
    kept = [bytearray(2000) for _ in range(100)]
    together.wait(30)
    together.wait(30)

threads = [threading.Thread(target=work) for _ in range(11)]
for thread in threads:
    thread.start()
together.wait(30)
ctypes.CDLL(None).malloc_stats()
together.wait(30)
"""


def arenas(how: str, **variables: str) -> int:
    """How many arenas twelve threads have used at once, as glibc itself tells."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    ended = subprocess.run(
        [sys.executable, "-c", THREADS, how],
        cwd=PROJECT_DIR, env={**plain, **variables}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return len(re.findall(r"^Arena \d+:", ended.stderr, re.MULTILINE))


def test_threads_share_two_arenas() -> None:
    assert arenas("unsettled") > 2
    assert arenas("settled") == 2


def test_an_operators_own_choice_is_left_alone() -> None:
    assert arenas("settled", MALLOC_ARENA_MAX="4") == 4
