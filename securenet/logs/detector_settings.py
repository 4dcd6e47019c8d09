"""How detectors are set in the admin, as they are now."""

from __future__ import annotations

from securenet.logs.detectors import DETECTORS, Configuration
from securenet.logs.models import DetectorSettings


def configuration_now() -> Configuration:
    """What people have set; one query."""
    rows = list(DetectorSettings.objects.all())
    return Configuration(
        disabled={row.detector for row in rows if not row.enabled},
        thresholds={row.detector: row.thresholds for row in rows if isinstance(row.thresholds, dict)},
    )


def add_missing_rows() -> None:
    """A row for each detector, so that there is something to edit."""
    known = set(DetectorSettings.objects.values_list("detector", flat=True))
    missing = [DetectorSettings(detector=name) for name in DETECTORS if name not in known]
    if missing:
        DetectorSettings.objects.bulk_create(missing, ignore_conflicts=True)
