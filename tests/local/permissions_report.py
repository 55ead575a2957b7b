"""What the roles of the templates used in a run of all tests of this folder: a page, and whether the run passes.

A plugin, which ``tests/conftest.py`` names: where several processes run the tests, none of those that collect them has
every result, and the one that has them all reads no ``conftest.py`` of a folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.local import rights

_LEFT_OUT = pytest.StashKey[bool]()
"""Set in the session's configuration when a worker chose among its tests or died."""


def pytest_configure(config: pytest.Config) -> None:
    """Every embedded AWS of this run leaves what its roles did in one folder."""
    if rights.REPORTS not in os.environ:
        folder = os.environ[rights.REPORTS] = tempfile.mkdtemp(prefix="neuron-cdk-permissions-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_deselected(items: list[pytest.Item]) -> None:
    """What a worker leaves out, only it knows."""
    told = getattr(items[0].config, "workeroutput", None) if items else None
    if told is not None:
        told["left_out"] = True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if getattr(node, "workeroutput", {"left_out": True}).get("left_out"):
        node.config.stash[_LEFT_OUT] = True


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """After a run of all of these tests: what each role used and never used, and what nobody has a reason for."""
    if not _is_whole(terminalreporter):
        return
    kinds = rights.read(Path(os.environ[rights.REPORTS]))
    page = config.cache.mkdir("permissions") / "permissions.md"
    page.write_text(rights.page(kinds))
    terminalreporter.section("permissions")
    terminalreporter.line(f"what each of {len(kinds)} roles used, and never used and why: {page}")
    for line in rights.unexplained(kinds):
        terminalreporter.line(f"granted and never used, with no reason in tests/local/rights.py: {line}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Such a run fails when there are any."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    whole = reporter is not None and _is_whole(reporter)
    if whole and rights.unexplained(rights.read(Path(os.environ[rights.REPORTS]))) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _is_whole(reporter: Any) -> bool:
    """Whether every file of this folder ran, and nothing of it failed or was left out."""
    ran = {Path(report.nodeid.partition("::")[0]).name for report in reporter.stats.get("passed", [])}
    left_out = reporter.stats.get("deselected") or reporter.config.stash.get(_LEFT_OUT, False)
    return not left_out and ran >= {file.name for file in Path(__file__).parent.glob("test_*.py")}
