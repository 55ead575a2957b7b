"""Which runs of the tests say what the roles used: those of every file of this folder, by one process or several."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.local import permissions_report

FILES = sorted(file.name for file in Path(__file__).parent.glob("test_*.py"))


@pytest.fixture
def reporter() -> SimpleNamespace:
    """What pytest knows at the end of a run in which a test of every file passed."""
    passed = [SimpleNamespace(nodeid=f"tests/local/{name}::test_one") for name in FILES]
    return SimpleNamespace(stats={"passed": passed}, config=SimpleNamespace(stash=pytest.Stash()))


def worker(reporter: Any, **told: Any) -> SimpleNamespace:
    return SimpleNamespace(config=reporter.config, **told)


def test_a_run_of_every_file_is_whole(reporter):
    permissions_report.pytest_testnodedown(worker(reporter, workeroutput={}))
    assert permissions_report._is_whole(reporter)


def test_a_run_without_one_of_them_is_not(reporter):
    reporter.stats["passed"].pop()
    assert not permissions_report._is_whole(reporter)


def test_a_run_that_left_tests_out_is_not(reporter):
    reporter.stats["deselected"] = [SimpleNamespace()]
    assert not permissions_report._is_whole(reporter)


def test_a_run_of_which_a_worker_left_tests_out_is_not(reporter):
    output: dict[str, Any] = {}
    item = SimpleNamespace(config=SimpleNamespace(workeroutput=output))
    permissions_report.pytest_deselected([item])
    permissions_report.pytest_testnodedown(worker(reporter, workeroutput=output))
    assert not permissions_report._is_whole(reporter)


def test_a_run_of_which_a_worker_died_is_not(reporter):
    permissions_report.pytest_testnodedown(worker(reporter))
    assert not permissions_report._is_whole(reporter)
