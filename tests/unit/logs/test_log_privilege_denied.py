"""Users whom sudo and su refuse."""

from __future__ import annotations

import pytest
from log_samples import parsed

from securenet.logs.analysis import analyse
from securenet.logs.detectors import Detection, PrivilegeDeniedDetector


def detections(*lines: str) -> tuple[Detection, ...]:
    return analyse(map(parsed, lines), [PrivilegeDeniedDetector()]).detections


def sudo(minute: float, said: str, user: str = "mallory") -> str:
    stamp = f"08:{int(minute):02}:{int(minute % 1 * 60):02}"
    facts = "TTY=pts/0 ; PWD=/home/m ; USER=root ; COMMAND=/bin/cat /etc/shadow"
    return f"Nov 20 {stamp} web1 sudo[77]: {user} : {said} ; {facts}"


def test_five_refusals_in_ten_minutes_are_reported_and_four_are_not() -> None:
    refused = [sudo(minute, "user NOT in sudoers") for minute in range(5)]
    assert not detections(*refused[:4])
    (found,) = detections(*refused)
    assert (found.subject, found.count) == ("mallory", 5)
    assert found.evidence["commands"] == {"/bin/cat /etc/shadow": 5}
    assert found.evidence["targets"] == {"root": 5}


def test_wrong_passwords_in_one_line_count_one_by_one() -> None:
    (found,) = detections(sudo(0, "3 incorrect password attempts"), sudo(1, "3 incorrect password attempts"))
    assert found.count == 6


def test_su_counts_with_sudo() -> None:
    su = [f"Nov 20 08:0{minute}:00 web1 su[9]: FAILED SU (to root) mallory on pts/0" for minute in range(3)]
    (found,) = detections(*su, sudo(4, "user NOT in sudoers"), sudo(5, "command not allowed"))
    assert found.count == 5


@pytest.mark.parametrize("spread", [11, 13])
def test_over_a_longer_time_they_are_everyday(spread: int) -> None:
    assert not detections(*(sudo(minute, "1 incorrect password attempt") for minute in range(0, 5 * spread, spread)))


def test_each_user_by_itself() -> None:
    assert not detections(*(sudo(minute, "user NOT in sudoers", user=f"user{minute}") for minute in range(9)))
