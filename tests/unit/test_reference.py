"""docs/reference.md is made from the code, and made anew when the code changes."""

from __future__ import annotations

from docs.make_reference import PAGE, page
from perf.conf import DEFAULTS


def test_the_page_is_what_the_code_says_now() -> None:
    assert PAGE.read_text() == page(), "Run `make docs`."


def test_every_setting_is_explained() -> None:
    lines = {line.split("`")[1]: line for line in page().splitlines() if line.startswith("| `PERF_")}
    assert lines.keys() == {f"PERF_{name}" for name in DEFAULTS}
    assert all(len(line.split("|")[3].strip()) > 10 for line in lines.values())
