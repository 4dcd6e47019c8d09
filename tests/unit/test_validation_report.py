"""How objectives are scored and told of: what fails or raises lowers the score and makes the exit code 1."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.validation.objectives import Checks, Measured, Objective, Outcome, Turn, exit_code, measure_all, score
from tests.validation.report import Run, page, terminal_table

RUN = Run(date="2026-01-02", seconds=12.3, store="Valkey 9.9", web_processes=2, job_workers=1)


def met(subject: str) -> Measured:
    return Measured(1.0, f"all of {subject}")


def half_met(subject: str) -> Measured:
    checks = Checks()
    checks.equal("two", 2, 2)
    checks.equal("three", "2", "3")
    return checks.measured("saw two")


def raising(subject: str) -> Measured:
    raise ConnectionError("nobody | answers")


def objective(
    measure: Callable[[str], Measured], *, name: str = "", weight: float = 1.0, turn: Turn = Turn.IN_ORDER
) -> Objective[str]:
    return Objective("An area", name or getattr(measure, "__name__", ""), "It holds.", measure, weight, turn)


def measured(*objectives: Objective[str]) -> list[Outcome[str]]:
    return measure_all(objectives, "it")


def test_all_objectives_met_is_the_whole_score_and_exit_code_0() -> None:
    outcomes = measured(objective(met), objective(met, name="another"))
    assert score(outcomes) == 1.0
    assert exit_code(outcomes) == 0
    assert "Total: 100 % of 2 objectives" in terminal_table(outcomes)


def test_failing_objective_lowers_the_score_by_its_weight_and_makes_the_exit_code_1() -> None:
    outcomes = measured(objective(met), objective(half_met, weight=3))
    assert score(outcomes) == pytest.approx((1 + 3 * 0.5) / 4)
    assert exit_code(outcomes) == 1
    table = terminal_table(outcomes)
    assert "Total: 62.5 % of 2 objectives" in table
    assert "three: '2' instead of '3'" in table


def test_raising_objective_scores_nothing_says_why_and_stops_no_other() -> None:
    outcomes = measured(objective(raising), objective(met))
    assert [outcome.measured.score for outcome in outcomes] == [0.0, 1.0]
    assert score(outcomes) == 0.5
    assert exit_code(outcomes) == 1
    assert "ConnectionError in raising" in outcomes[0].measured.missing[0]
    assert "nobody | answers" in terminal_table(outcomes)


@pytest.mark.parametrize("turn", list(Turn))
def test_raising_objective_is_told_of_in_every_turn(turn: Turn) -> None:
    outcomes = measured(objective(met), objective(raising, turn=turn), objective(met, name="last"))
    assert [outcome.objective.name for outcome in outcomes] == ["met", "raising", "last"]
    assert exit_code(outcomes) == 1


def test_nearly_met_is_not_rounded_up() -> None:
    outcomes = measured(objective(lambda subject: Measured(0.9999, "nearly"), name="nearly"))
    assert exit_code(outcomes) == 1
    assert "99.9 %" in terminal_table(outcomes)


def test_nothing_measured_is_nothing_met() -> None:
    assert score([]) == 0.0
    assert exit_code([]) == 1


def test_objective_without_a_check_is_not_met() -> None:
    outcomes = measured(objective(lambda subject: Checks().measured("looked at nothing"), name="idle"))
    assert exit_code(outcomes) == 1
    assert "nothing was checked" in outcomes[0].measured.missing[0]


def test_objectives_of_one_name_are_told_apart() -> None:
    outcomes = measured(objective(met, name="same"), objective(raising, name="same"))
    assert [outcome.measured.score for outcome in outcomes] == [1.0, 0.0]


def test_beside_runs_while_others_do_and_alone_runs_after_it() -> None:
    others_began, beside_ended = threading.Event(), threading.Event()

    def beside(subject: str) -> Measured:
        waited = others_began.wait(10)
        beside_ended.set()
        return Measured(float(waited), "")

    def in_order(subject: str) -> Measured:
        others_began.set()
        return Measured(1.0, "")

    def alone(subject: str) -> Measured:
        return Measured(float(beside_ended.is_set()), "")

    outcomes = measured(objective(alone, turn=Turn.ALONE), objective(beside, turn=Turn.BESIDE), objective(in_order))
    assert exit_code(outcomes) == 0


def test_page_tells_scores_evidence_and_what_is_missing() -> None:
    text = page(measured(objective(met), objective(raising)), RUN)
    assert "| An area | 2 | 1 | 50 % |" in text
    assert "**50 %**" in text
    assert "all of it" in text
    assert "nobody \\| answers" in text, "a bar would end the cell"
    assert "`make validate`" in text
    assert "Valkey 9.9" in text
