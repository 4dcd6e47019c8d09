"""Which detectors there are. A new one is one module, and one entry here."""

from __future__ import annotations

from securenet.logs.detectors.break_in_attempt import BreakInAttemptDetector
from securenet.logs.detectors.brute_force import BruteForceDetector
from securenet.logs.detectors.detection import Detector
from securenet.logs.detectors.distributed_guessing import DistributedGuessingDetector
from securenet.logs.detectors.error_burst import ErrorBurstDetector
from securenet.logs.detectors.login_after_failures import LoginAfterFailuresDetector
from securenet.logs.detectors.low_and_slow import LowAndSlowDetector
from securenet.logs.detectors.new_source_for_privileged_user import NewSourceForPrivilegedUserDetector
from securenet.logs.detectors.password_spray import PasswordSprayDetector
from securenet.logs.detectors.path_scan import PathScanDetector
from securenet.logs.detectors.privilege_denied import PrivilegeDeniedDetector
from securenet.logs.detectors.rate_anomaly import RateAnomalyDetector
from securenet.logs.detectors.request_burst import RequestBurstDetector
from securenet.logs.detectors.user_enumeration import UserEnumerationDetector

DETECTORS: dict[str, type[Detector]] = {
    detector.name: detector
    for detector in (
        BruteForceDetector,
        LowAndSlowDetector,
        PasswordSprayDetector,
        DistributedGuessingDetector,
        UserEnumerationDetector,
        LoginAfterFailuresDetector,
        NewSourceForPrivilegedUserDetector,
        BreakInAttemptDetector,
        PrivilegeDeniedDetector,
        PathScanDetector,
        RequestBurstDetector,
        ErrorBurstDetector,
        RateAnomalyDetector,
    )
}
"""Name → detector; each is usable without arguments."""
