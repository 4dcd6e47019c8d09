"""From events to detections: small detectors over sliding windows, free of Django and of any I/O.

A new detector is one module, and one entry in `registry.DETECTORS`.
"""

from securenet.logs.detectors.attempts import AttemptCounter
from securenet.logs.detectors.break_in_attempt import BreakInAttemptDetector
from securenet.logs.detectors.brute_force import BruteForceDetector
from securenet.logs.detectors.configuration import Configuration, configured_detectors
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.distributed_guessing import DistributedGuessingDetector
from securenet.logs.detectors.error_burst import ErrorBurstDetector
from securenet.logs.detectors.login_after_failures import LoginAfterFailuresDetector
from securenet.logs.detectors.low_and_slow import LowAndSlowDetector
from securenet.logs.detectors.new_source_for_privileged_user import (
    PRIVILEGED_USERS,
    NewSourceForPrivilegedUserDetector,
    PastLogins,
)
from securenet.logs.detectors.password_spray import PasswordSprayDetector
from securenet.logs.detectors.path_scan import PathScanDetector
from securenet.logs.detectors.privilege_denied import PrivilegeDeniedDetector
from securenet.logs.detectors.rate_anomaly import RateAnomalyDetector
from securenet.logs.detectors.registry import DETECTORS
from securenet.logs.detectors.request_burst import RequestBurstDetector
from securenet.logs.detectors.user_enumeration import UserEnumerationDetector


def default_detectors(past: PastLogins | None = None) -> list[Detector]:
    """Return one fresh detector of every kind, with its default thresholds.

    Args:
        past: logins from before the events that will be looked at, where they are known.
    """
    return configured_detectors(Configuration(), past)


__all__ = [
    "DETECTORS",
    "PRIVILEGED_USERS",
    "AttemptCounter",
    "BreakInAttemptDetector",
    "BruteForceDetector",
    "Configuration",
    "Detection",
    "Detector",
    "DistributedGuessingDetector",
    "ErrorBurstDetector",
    "LoginAfterFailuresDetector",
    "LowAndSlowDetector",
    "NewSourceForPrivilegedUserDetector",
    "PasswordSprayDetector",
    "PastLogins",
    "PathScanDetector",
    "PrivilegeDeniedDetector",
    "RateAnomalyDetector",
    "RequestBurstDetector",
    "Severity",
    "UserEnumerationDetector",
    "configured_detectors",
    "default_detectors",
]
