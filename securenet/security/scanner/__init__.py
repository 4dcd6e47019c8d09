"""The security scanner: what may be scanned, what is open, what listens there, and what is wrong with it.

A library without Django. `authorise` gives the addresses that may be scanned, `run_scan` scans them.
"""

from __future__ import annotations

from .authorisation import PinnedAddress, Scope, authorise
from .connect import ConnectLimits, PortState, ScanImpossible
from .conversation import ProbeLimits
from .issue import Issue, Severity
from .ports import ALL_PORTS, InvalidPorts, PortSet
from .progress import OnProgress
from .refusal import Refusal, TargetRefused
from .results import HostResult, PortResult
from .scan import ScanPlan, run_scan
from .targets import parse_target, parse_targets

__all__ = [
    "ALL_PORTS",
    "ConnectLimits",
    "HostResult",
    "InvalidPorts",
    "Issue",
    "OnProgress",
    "PinnedAddress",
    "PortResult",
    "PortSet",
    "PortState",
    "ProbeLimits",
    "Refusal",
    "ScanImpossible",
    "ScanPlan",
    "Scope",
    "Severity",
    "TargetRefused",
    "authorise",
    "parse_target",
    "parse_targets",
    "run_scan",
]
