"""Before a pod ends: waits until no balancer sends requests here, then has the web server drain. `drain.py [PID]`.

Traffic goes on for a while after a pod is told to end, so the server accepts connections until `UNROUTED_AFTER`.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from securenet.run.draining import HAND_OVER
from securenet.run.web import DRAIN_SECONDS

# Seconds in which every balancer has heard that this pod is leaving.
UNROUTED_AFTER: Final = 10.0
# Seconds before the server ends by itself: an orchestrator reports a hook that is cut off as failed.
MARGIN: Final = 0.5


def main(pid: int = 1) -> None:
    time.sleep(UNROUTED_AFTER)
    os.kill(pid, HAND_OVER)
    time.sleep(DRAIN_SECONDS - MARGIN)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
