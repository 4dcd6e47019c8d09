"""Vulnerability data in the formats that their publishers use, about made-up and real bugs, in our own words."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

OPENSSH = "cpe:2.3:a:openbsd:openssh:*:*:*:*:*:*:*:*"
NGINX = "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*"
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def nvd_cve(
    number: str, *matches: dict[str, Any], score: float | None = 8.1, vector: str = "CVSS:3.1/AV:N/AC:H", **more: Any
) -> dict[str, Any]:
    """An entry as in NVD's files."""
    metrics = {} if score is None else {
        "cvssMetricV31": [
            {"type": "Secondary", "cvssData": {"vectorString": "another's", "baseScore": 1.0}},
            {"type": "Primary", "cvssData": {"vectorString": vector, "baseScore": score}},
        ]
    }  # fmt: skip
    return {
        "cve": {
            "id": number,
            "vulnStatus": "Analyzed",
            "published": "2026-07-01T13:15:06.467",
            "lastModified": "2026-09-30T11:00:00.000",
            "descriptions": [{"lang": "es", "value": "Un error."}, {"lang": "en", "value": f"What {number} is."}],
            "metrics": metrics,
            "configurations": [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": list(matches)}]}],
            **more,
        }
    }


def affected(criteria: str = OPENSSH, vulnerable: bool = True, **bounds: str) -> dict[str, Any]:
    """One ``cpeMatch``."""
    return {"vulnerable": vulnerable, "criteria": criteria, "matchCriteriaId": "0", **bounds}


def nvd(*entries: dict[str, Any], timestamp: str = "2026-10-01T00:00:00.000") -> dict[str, Any]:
    """A file of NVD."""
    head = {"resultsPerPage": len(entries), "startIndex": 0, "totalResults": len(entries), "format": "NVD_CVE"}
    return {**head, "version": "2.0", "timestamp": timestamp, "vulnerabilities": list(entries)}


def osv(
    number: str, package: str = "openssh", ecosystem: str = "Debian:12", *events: dict[str, str], **more: Any
) -> dict[str, Any]:
    """A record of OSV about a distribution's package."""
    return {
        "schema_version": "1.7.0",
        "id": f"DEBIAN-{number}",
        "upstream": [number],
        "modified": "2026-10-05T10:00:00Z",
        "published": "2026-07-01T00:00:00Z",
        "details": f"What Debian says of {number}.",
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, *events]}],
            }
        ],
        **more,
    }


def kev(*numbers: str, released: str = "2026-10-10T15:00:00.000Z") -> dict[str, Any]:
    """CISA's catalogue."""
    return {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": "2026.10.10",
        "dateReleased": released,
        "count": len(numbers),
        "vulnerabilities": [
            {
                "cveID": number,
                "vulnerabilityName": f"Name of {number}",
                "dateAdded": "2026-07-09",
                "dueDate": "2026-07-30",
                "knownRansomwareCampaignUse": "Known",
            }
            for number in numbers
        ],
    }


def written(folder: Path, content: Any, name: str = "feed.json") -> Path:
    """The content in a file: packed if its name ends in .gz, a zip with a member per record if in .zip."""
    path = folder / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for record in content:
                archive.writestr(f"{record['id']}.json", json.dumps(record))
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
    else:
        path.write_text(json.dumps(content))
    return path
