"""What the compared caches hold: JSON of three sizes, as compact as DRF renders it.

A body is known by its name: one of `SIZES`, or ``random-`` and one of them.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from typing import Any

SIZES = {"1-KB": 20, "32-KB": 616, "512-KB": 9476}  # rows of JSON: as many as fit into the size
RANDOM = "random-"
IDENTIFIER_BYTES = 39  # 36 characters, two quotes and a comma

computed: Counter[str] = Counter()  # how often the views of this process have made a body


def computed_body(name: str) -> dict[str, Any]:
    """What a view answers; it is counted."""
    computed[name] += 1
    return body(name)


def body(name: str) -> dict[str, Any]:
    """Rows that differ in little, as an API's do; or as many bytes of random identifiers, which hardly compress."""
    size = name.removeprefix(RANDOM)
    rows = [{"id": n, "name": f"asset {n}", "address": f"192.0.2.{n % 250}"} for n in range(SIZES[size])]
    if name == size:
        return {"results": rows}
    source, count = random.Random(size), len(rendered({"results": rows})) // IDENTIFIER_BYTES
    return {"results": [str(uuid.UUID(int=source.getrandbits(128))) for _ in range(count)]}


def rendered(content: dict[str, Any]) -> bytes:
    """The bytes that DRF's renderer makes of it."""
    return json.dumps(content, separators=(",", ":")).encode()


def spoken(name: str) -> str:
    """The name, for a table."""
    return name.removeprefix(RANDOM).replace("-", " ")
