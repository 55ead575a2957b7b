"""cfn-lint over every template: no error, in the region the deployment names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_no_template_has_an_error(each_assembly):
    lint = Path(sys.executable).with_name("cfn-lint")
    options = ["--regions", each_assembly.region, "--non-zero-exit-code", "error", "--ignore-checks", "W"]
    done = subprocess.run(
        [lint, *options, "--", *each_assembly.files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
