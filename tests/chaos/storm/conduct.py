"""One storm from beginning to end: a site, its clients, an editor, and the faults in an order that the seed decides."""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from securenet.run.child import Child
from securenet.run.messages import log_excerpt
from tests.chaos.answers import SECOND
from tests.chaos.storm import plan
from tests.chaos.storm.faults import StormFault, faults_of, suffer
from tests.chaos.storm.origins import read_origin_calls
from tests.chaos.storm.record import FinalJob, FinalState, Incident, Record, read_edits, read_exchanges
from tests.chaos.storm.world import World, world
from tests.servers.securenet import until

CALM_BEFORE = 3.0  # seconds of load before the first fault
PAUSE = (2.5, 4.0)  # seconds between two faults: at least, at most


def storm(chosen: plan.StormPlan, folder: Path) -> Record:
    """Let everything fail that can, each at least once, and go on for as long as the plan says; returns the record."""
    with world(folder) as made:
        facts = {**made.ask("furnish"), "tokens": made.tokens(), "port": made.run.port, "seed": chosen.seed}
        (folder / "load.json").write_text(json.dumps(facts))
        epoch = time.time_ns() - time.monotonic_ns()
        with _running(made):
            time.sleep(CALM_BEFORE)
            incidents = list(_faults(chosen, made))
        drift = abs(time.time_ns() - time.monotonic_ns() - epoch)
        assert drift < SECOND // 100, "The clock was set during the run, so times cannot be compared."
        made.await_rest()
        final = _final_state(made.ask("final_state"))
    return Record(
        read_exchanges([folder / "exchanges"]),
        read_edits(folder / "edits"),
        incidents,
        read_origin_calls(folder / "origins"),
        final,
        epoch,
        drift,
    )


def _faults(chosen: plan.StormPlan, made: World) -> Iterator[Incident]:
    chance = random.Random(chosen.seed)
    deadline = time.monotonic() + chosen.seconds
    faults = faults_of(made)
    for round_ in itertools.count():
        for fault in chance.sample(faults, len(faults)):
            if round_ and time.monotonic() >= deadline:
                return
            incident = suffer(fault, made, chance, chance.uniform(*PAUSE))
            _say(fault, incident)
            yield incident


def _say(fault: StormFault, incident: Incident) -> None:
    print(f"  {fault.name}: {(incident.back - incident.began) / SECOND:.1f} s", flush=True)


@contextmanager
def _running(made: World) -> Iterator[None]:
    """Clients and editor, for the length of the block; what they do then is finished in order."""
    exchanges, edits = made.folder / "exchanges", made.folder / "edits"
    children = [
        made.child("clients", "tests.chaos.storm.client", str(exchanges), str(made.folder / "load.json")),
        made.child("editor", "tests.chaos.storm.editor", str(edits)),
    ]
    try:
        for child in children:
            child.start()
        until(lambda: _have_begun(children, exchanges, edits), 60, lambda: _why(children))
        yield
        _why_any_ended(children)
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            assert child.wait(90), f"{child.name} did not end after SIGTERM."
    finally:
        for child in children:
            child.kill()


def _have_begun(children: list[Child], *files: Path) -> bool:
    _why_any_ended(children)
    return all(file.exists() and file.stat().st_size for file in files)


def _why_any_ended(children: list[Child]) -> None:
    assert all(child.is_running for child in children), _why(children)


def _why(children: list[Child]) -> str:
    return "\n".join(f"{it.name}: {it.how_it_ended()}.\n{log_excerpt(it.log)}" for it in children if it.log)


def _final_state(found: dict[str, Any]) -> FinalState:
    return FinalState([FinalJob(**job) for job in found["jobs"]], found["lines"], found["notes"])
