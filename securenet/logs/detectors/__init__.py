"""From events to detections: small detectors over sliding windows, free of Django and of any I/O.

A new detector is one module, one entry in `DETECTORS` and one in `default_detectors`.
"""

from securenet.logs.detectors.attempts import AttemptCounter
from securenet.logs.detectors.brute_force import BruteForceDetector
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.error_burst import ErrorBurstDetector
from securenet.logs.detectors.login_after_failures import LoginAfterFailuresDetector
from securenet.logs.detectors.password_spray import PasswordSprayDetector
from securenet.logs.detectors.path_scan import PathScanDetector

DETECTORS: dict[str, type[Detector]] = {
    detector.name: detector
    for detector in (
        BruteForceDetector,
        PasswordSprayDetector,
        LoginAfterFailuresDetector,
        PathScanDetector,
        ErrorBurstDetector,
    )
}
"""Name → detector; each is usable without arguments."""


def default_detectors() -> list[Detector]:
    """Return one fresh detector of every kind, with its default thresholds."""
    counter = AttemptCounter()
    return [
        BruteForceDetector(counter=counter),
        PasswordSprayDetector(counter=counter),
        LoginAfterFailuresDetector(counter=counter),
        PathScanDetector(),
        ErrorBurstDetector(),
    ]


__all__ = [
    "DETECTORS",
    "AttemptCounter",
    "BruteForceDetector",
    "Detection",
    "Detector",
    "ErrorBurstDetector",
    "LoginAfterFailuresDetector",
    "PasswordSprayDetector",
    "PathScanDetector",
    "Severity",
    "default_detectors",
]
