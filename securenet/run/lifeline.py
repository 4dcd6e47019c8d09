"""Ties processes together, so that whoever dies, however suddenly, takes along what it started.

Linux only (`prctl(2)`); elsewhere these functions do nothing and only an orderly stop cleans up. The kernel's
"parent" is the *thread* that started the child, so children are started from threads that live long.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Loaded here, once: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signum: signal.Signals, parent: int) -> None:
    """Ask the kernel to send this process ``signum`` when process ``parent`` dies, or now if it already has."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def dying_with_me(signum: signal.Signals) -> Callable[[], None]:
    """Return a function for the child's side of a fork, that ties it to the process calling this."""
    parent = os.getpid()
    return lambda: die_with_parent(signum, parent)


def forks_die_with_parent() -> None:
    """Tie every process this one will fork to it: Granian's web workers, RQ's work horses, and theirs.

    The kernel does not hand the tie down to children of children, and RQ gives each work horse a process
    group of its own, so neither the first tie nor killing a group would reach them.
    """
    parent: list[int] = [os.getpid()]

    def remember_parent() -> None:
        parent[0] = os.getpid()

    def tie_child() -> None:
        die_with_parent(signal.SIGKILL, parent[0])

    os.register_at_fork(before=remember_parent, after_in_child=tie_child)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, so that `descendants` sees them all."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Return the ids of all living processes below process ``root``, zombies left out; empty without /proc."""
    children: dict[int, list[int]] = {}
    zombies = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state ppid …", where the name may hold spaces and parentheses.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we were looking
        pid = int(stat.parent.name)
        children.setdefault(int(parent), []).append(pid)
        if state == "Z":
            zombies.add(pid)
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return [pid for pid in found if pid not in zombies]
