"""Unusual rates: found where they were planted, and only there."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from securenet.logs.analysis import analyse
from securenet.logs.detectors import Detection, RateAnomalyDetector
from securenet.logs.detectors.templates import MOST_TEMPLATES, TemplateMiner
from securenet.logs.parsers import Event, Kind

START = datetime(2026, 11, 2, tzinfo=UTC)


def event(time: datetime, message: str = "queue 17 flushed", host: str = "db1", kind: str = Kind.OTHER) -> Event:
    return Event(time, host, "worker", kind, None, None, 1, {}, message)


def poisson(chance: random.Random, mean: float) -> int:
    """How many arrivals there are in a time in which ``mean`` are expected."""
    time, count = chance.expovariate(1.0), 0
    while time < mean:
        time, count = time + chance.expovariate(1.0), count + 1
    return count


def lines(means: Iterable[float], seed: int, text: str = "queue {} flushed", host: str = "db1") -> list[Event]:
    """Lines of one template in intervals of ten minutes, as many in each as a Poisson law gives of its mean."""
    chance = random.Random(seed)
    found = []
    for number, mean in enumerate(means):
        for _ in range(poisson(chance, mean)):
            at = START + timedelta(minutes=10 * number, seconds=chance.randrange(600))
            found.append(event(at, text.format(chance.randrange(10_000)), host))
    return sorted(found, key=lambda each: each.time)


def detections(events: Iterable[Event], **thresholds: object) -> tuple[Detection, ...]:
    return analyse(events, [RateAnomalyDetector(**thresholds)]).detections  # type: ignore[arg-type]


class TestOnADay:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_burst_is_found_with_what_is_usual_and_examples(self, seed: int) -> None:
        means = [10.0] * 144
        means[100] = 120
        (found,) = detections(lines(means, seed))
        assert found.subject == "db1: queue <number> flushed"
        assert found.evidence["at"] == (START + timedelta(minutes=1000)).isoformat()
        assert 8 <= float(str(found.evidence["usual"])) <= 12
        assert 80 <= found.count <= 160
        examples = found.evidence["lines"]
        assert isinstance(examples, list)
        assert all("db1 worker: queue" in line for line in examples)
        assert found.first_seen == START + timedelta(minutes=1000)

    @pytest.mark.parametrize("seed", range(20))
    def test_chance_alone_is_no_anomaly(self, seed: int) -> None:
        mean = random.Random(seed).choice([0.1, 1, 5, 40, 200])
        assert not detections(lines([mean] * 144, seed))

    def test_one_of_many_templates_and_machines_stands_out_by_itself(self) -> None:
        quiet = [20.0] * 144
        loud = [*quiet[:70], 200.0, *quiet[71:]]
        events = [
            *lines(quiet, 1),
            *lines(quiet, 2, "user u{} has left"),
            *lines(quiet, 3, "cannot open file {} here", host="db2"),
            *lines(loud, 4, "user u{} has left", host="db2"),
        ]
        found = detections(sorted(events, key=lambda each: each.time))
        assert [each.evidence["machine"] for each in found] == ["db2"]
        assert "has left" in found[0].subject

    def test_lines_that_a_parser_knows_are_counted_by_their_kind(self) -> None:
        times = [START + timedelta(minutes=10 * number) for number in range(100)]
        times += [START + timedelta(minutes=500, seconds=second) for second in range(100)]
        found = detections(event(time, f"text {time}", kind=Kind.AUTH_FAILURE) for time in sorted(times))
        assert [each.subject for each in found] == ["db1: auth.failure"]

    def test_what_never_happened_before_is_unusual_at_once(self) -> None:
        events = lines([5.0] * 144, 1) + [
            event(START + timedelta(minutes=700, seconds=second), "panic: cannot write") for second in range(40)
        ]
        (found,) = detections(sorted(events, key=lambda each: each.time))
        assert "panic" in found.subject
        assert found.evidence["usual"] == 0


class TestOverWeeks:
    def test_what_comes_every_night_is_usual(self) -> None:
        """A backup that logs much from two to three, for ten days; the same at noon of one day is not usual."""
        means = [2.0] * (144 * 10)
        for day in range(10):
            means[day * 144 + 12 : day * 144 + 18] = [200.0] * 6
        assert not detections(lines(means, 1))
        means[7 * 144 + 72] = 200.0
        (found,) = detections(lines(means, 1))
        assert found.evidence["at"] == (START + timedelta(days=7, hours=12)).isoformat()


class TestThresholds:
    means = [10.0] * 144
    means[100] = 60

    def test_each_decides(self) -> None:
        events = lines(self.means, 3)
        assert detections(events)
        assert not detections(events, threshold=30)
        assert not detections(events, least=500)
        assert not detections(events, history=200)
        assert not detections(events, interval=timedelta(hours=12))


class TestBounds:
    def test_a_log_of_years_is_judged_in_chapters_and_memory_stays(self) -> None:
        detector = RateAnomalyDetector()
        found: list[Detection] = []
        for hour in range(24 * 365 * 3):
            found += detector.observe(event(START + timedelta(hours=hour)))
            if hour == 20_000:
                for second in range(100):
                    found += detector.observe(event(START + timedelta(hours=hour, seconds=second)))
            assert len(detector._series) <= 1
            assert detector._cells <= 5_000
        found += detector.finish()
        assert len(found) == 1

    def test_an_old_stamp_that_somebody_forged_hides_nothing(self) -> None:
        means = [10.0] * 144
        means[100] = 120
        forged = event(START - timedelta(days=9000))
        assert len(detections([forged, *lines(means, 1)])) == 1

    def test_series_are_bounded(self) -> None:
        detector = RateAnomalyDetector(max_series=50)
        for number in range(500):
            detector.observe(event(START, host=f"host{number}"))
        assert len(detector._series) == 50

    def test_templates_are_bounded(self) -> None:
        miner = TemplateMiner()
        chance = random.Random(1)
        for _ in range(3 * MOST_TEMPLATES):
            miner.number_of(" ".join(chance.choice("abcdefgh") * 9 + chance.choice("ijklmn") for _ in range(12)))
        assert len(miner._miner.drain.id_to_cluster) <= MOST_TEMPLATES

    @pytest.mark.parametrize("line", ["", " ", "9" * 100_000, "1." * 5000, "a:" * 5000, "\x00<*>", "<:" * 2000])
    def test_hostile_lines_take_no_time(self, line: str) -> None:
        miner = TemplateMiner()
        for _ in range(100):
            miner.text_of(miner.number_of(line))


def test_lines_of_the_same_shape_have_one_template() -> None:
    miner = TemplateMiner()
    shapes = {
        miner.number_of(f"connect to {address} port {port} took {port / 7:.2f} ms")
        for address, port in (("192.0.2.1", 80), ("2001:db8::1", 443), ("198.51.100.77", 65535))
    }
    (number,) = shapes
    assert miner.text_of(number) == "connect to <address> port <number> took <number> ms"
