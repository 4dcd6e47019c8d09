"""Base scores of CVSS 3.0 and 3.1 vectors (FIRST, "CVSS v3.1: Specification Document", section 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "S": {"U": 0.0, "C": 0.0},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES_WHERE_SCOPE_CHANGES: Final = {"N": 0.85, "L": 0.68, "H": 0.5}


class NotAVector(ValueError):
    """The text is no CVSS 3 vector with all base metrics."""


def base_score(vector: str) -> float:
    """The score of a vector such as ``CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H``, 0.0 to 10.0.

    Raises:
        NotAVector: it is of another version, or a metric is missing, given twice or unknown.
    """
    metrics = _metrics(vector)
    weight = {name: _WEIGHTS[name][value] for name, value in metrics.items()}
    is_scope_changed = metrics["S"] == "C"
    if is_scope_changed:
        weight["PR"] = _PRIVILEGES_WHERE_SCOPE_CHANGES[metrics["PR"]]
    impact_base = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    if is_scope_changed:
        impact = 7.52 * (impact_base - 0.029) - 3.25 * (impact_base - 0.02) ** 15
    else:
        impact = 6.42 * impact_base
    if impact <= 0:
        return 0.0
    exploitability = 8.22 * weight["AV"] * weight["AC"] * weight["PR"] * weight["UI"]
    total = impact + exploitability
    return _rounded_up(min(1.08 * total if is_scope_changed else total, 10.0))


def _metrics(vector: str) -> dict[str, str]:
    version, *parts = vector.split("/")
    pairs = [part.partition(":") for part in parts]
    metrics = {name: value for name, _, value in pairs if name in _WEIGHTS}
    is_known = all(value in _WEIGHTS[name] for name, value in metrics.items())
    if version not in ("CVSS:3.0", "CVSS:3.1") or len(metrics) != len(_WEIGHTS) or not is_known:
        raise NotAVector(f"{vector!r} is no CVSS 3 vector; write CVSS:3.1/ and the eight base metrics.")
    if len({name for name, _, _ in pairs}) != len(pairs):
        raise NotAVector(f"{vector!r} gives a metric twice.")
    return metrics


def _rounded_up(value: float) -> float:
    """To one decimal, upwards, without the surprises of binary fractions (appendix A of the specification)."""
    exact = Decimal(round(value * 100_000)) / 100_000
    return float(exact.quantize(Decimal("0.1"), rounding=ROUND_CEILING))
