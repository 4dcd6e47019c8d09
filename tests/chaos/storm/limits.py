"""The exact limits of a storm, one for each algorithm. Importing them takes a Django that is set up."""

from __future__ import annotations

from tests.chaos.limits import LimitUnderLoad

LIMITS = (
    LimitUnderLoad("sliding_window", 6, 2),
    LimitUnderLoad("fixed_window", 6, 2),
    LimitUnderLoad("token_bucket", 2, 1, burst=3),
)
