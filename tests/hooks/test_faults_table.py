"""The table of faults: every hook is in it, and what ended otherwise shows."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import handlers, rows


def disturbed() -> set[str]:
    """Handlers that a test makes a row of."""
    found = set()
    for file in sorted(Path(__file__).parent.glob("test_*_faults.py")):
        module = importlib.import_module(f"tests.hooks.{file.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_") and "tell" in inspect.signature(test).parameters:
                found |= _marked(test) or _named([module.pytestmark.mark])
    return found


def _marked(test: Any) -> set[str]:
    marks: list[pytest.Mark] = getattr(test, "pytestmark", [])
    parameters = [one for mark in marks if mark.name == "parametrize" for one in mark.args[1]]
    return _named([*marks, *(mark for one in parameters for mark in getattr(one, "marks", ()))])


def _named(marks: Iterable[pytest.Mark]) -> set[str]:
    return {mark.args[0] for mark in marks if mark.name == "disturbs"}


def test_every_handler_has_a_row() -> None:
    assert disturbed() == handlers()


def case(outcome: str = "", **told: object) -> str:
    properties = "".join(f'<property name="{name}" value="{value}"/>' for name, value in told.items())
    return f'<testcase name="test_one"><properties>{properties}</properties>{outcome}</testcase>'


def table(*cases: str, known: tuple[str, ...] = ("a",)) -> dict[str, tuple[int, list[str], str]]:
    report = f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"
    return {name: (row.calls, row.faults, row.outcome) for name, row in rows(report, set(known)).items()}


def test_the_faults_of_a_scene_are_one_row() -> None:
    told = {"handler": "a", "what": "create", "calls": 3}
    cases = [case(**told, faults=fault) for fault in ("throttled", "killed")]
    assert table(*cases) == {"a: create": (3, ["throttled", "killed"], "as undisturbed")}


@pytest.mark.parametrize("outcome", ["<failure/>", "<error/>"])
def test_a_fault_that_ends_otherwise_shows(outcome: str) -> None:
    told = {"handler": "a", "what": "create", "calls": 3}
    found = table(case(**told, faults="throttled"), case(outcome, **told, faults="killed"))
    assert found["a: create"][2] == "differs: killed"


def test_what_fails_before_anything_is_disturbed_shows() -> None:
    assert table(case("<failure/>", handler="a"))["a: test_one"][2] == "differs: none"


def test_a_handler_that_nothing_disturbs_shows() -> None:
    told = {"handler": "a", "what": "create", "calls": 3, "faults": "killed"}
    assert table(case(**told), known=("a", "b"))["b"] == (0, [], "not disturbed")


def test_a_test_that_disturbs_nothing_is_no_row() -> None:
    assert table(case(), known=()) == {}
