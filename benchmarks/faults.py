"""What becomes of a hook that is disturbed at one of its calls and called again: the tests of it, as a table."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Row:
    """``tried``: at how many calls, each once for each of ``faults``; ``differs``: faults that ended otherwise."""

    calls: int
    faults: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        return f"differs: {', '.join(self.differs)}" if self.differs else "as undisturbed"


def faults() -> dict[str, Row]:
    """Run the tests that disturb every call once; by handler and scene."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = sorted(str(file) for file in (ROOT / "tests" / "hooks").glob("test_*_faults.py"))
        command = [sys.executable, "-m", "pytest", "-q", "-o", "junit_family=legacy", f"--junitxml={report}", *files]
        subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
        cases = ElementTree.parse(report).iter("testcase")  # noqa: S314 - pytest wrote it just now
    rows: dict[str, Row] = {}
    for case in cases:
        told = {one.get("name", ""): one.get("value", "") for one in case.iter("property")}
        if not told:
            continue
        row = rows.setdefault(told["what"], Row(int(told["calls"])))
        row.faults.append(told["faults"])
        if case.find("failure") is not None or case.find("error") is not None:
            row.differs.append(told["faults"])
    return rows
