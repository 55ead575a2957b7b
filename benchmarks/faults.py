"""What becomes of a hook that is disturbed at one of its calls and called again: the tests of it, as a table."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOOKS = ROOT / "lambda" / "neuron_hooks"


@dataclass
class Row:
    """``tried``: at how many calls, each once for each of ``faults``; ``differs``: faults that ended otherwise."""

    calls: int
    faults: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        if not self.faults:
            return "not disturbed"
        return f"differs: {', '.join(self.differs)}" if self.differs else "as undisturbed"


def faults() -> dict[str, Row]:
    """Run the tests that disturb every call once; by handler and scene."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = sorted(str(file) for file in (ROOT / "tests" / "hooks").glob("test_*_faults.py"))
        command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=legacy", f"--junitxml={report}", *files]
        subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
        return rows(report.read_text(), handlers())


def handlers() -> set[str]:
    """Every module of the hooks that Lambda calls, by its name within the package."""
    return {
        ".".join(file.relative_to(HOOKS).with_suffix("").parts)
        for file in HOOKS.rglob("*.py")
        if any(
            isinstance(each, ast.FunctionDef) and each.name == "handler" for each in ast.parse(file.read_text()).body
        )
    }


def rows(report: str, known: set[str]) -> dict[str, Row]:
    """The table of a report of pytest's (JUnit XML). A handler that nothing disturbs has a row that says so."""
    table: dict[str, Row] = {}
    missing = set(known)
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
        told = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
        if "handler" not in told:
            continue
        missing.discard(told["handler"])
        fault = told.get("faults", "none")  # it failed before anything was disturbed
        name = f"{told['handler']}: {told.get('what', case.get('name', ''))}"
        row = table.setdefault(name, Row(int(told.get("calls", "0"))))
        row.faults.append(fault)
        if case.find("failure") is not None or case.find("error") is not None:
            row.differs.append(fault)
    return table | {handler: Row(0) for handler in sorted(missing)}
