"""What a check finds wrong (or worth knowing) about a service."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .cvss import base_score
from .fingerprint import fingerprint

PROTOCOL = "tcp"


class Severity(StrEnum):
    """How bad it is, from worth knowing to drop everything."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding at one port.

    description: what is wrong and what follows; advice: what to do; evidence: what was seen,
    JSON-serialisable; confidence: percent; component: tells apart several findings of one check at one port;
    cvss: a CVSS vector, where one applies; cvss_score: its base score, where it is not the one of a CVSS 3 vector.
    """

    check_id: str
    port: int
    title: str
    severity: Severity
    description: str
    advice: str
    evidence: dict[str, object] = field(default_factory=dict)
    confidence: int = 100
    component: str = ""
    cve: str = ""
    cvss: str = ""
    cvss_score: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.confidence <= 100:
            raise ValueError(f"confidence is {self.confidence}; give a percentage from 0 to 100")

    @property
    def base_score(self) -> float | None:
        """The CVSS base score: as given, else that of the vector; None without either."""
        if self.cvss_score is not None or not self.cvss:
            return self.cvss_score
        return base_score(self.cvss)

    def fingerprint(self, asset: str) -> str:
        """The identity of this finding on that asset; see `fingerprint.fingerprint`."""
        return fingerprint(asset, self.check_id, PROTOCOL, self.port, self.component, self.cve)
