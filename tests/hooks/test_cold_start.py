"""What a function does before its first event: read its settings, check its boto3, import little."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

Load = Callable[[str], ModuleType]
ROOT = Path(__file__).resolve().parents[2] / "lambda"
HANDLERS = (
    "compile.compiled_model",
    "compile.begin_compile",
    "compile.register_artifact",
    "compile.record_failure",
    "compile.answer_cloudformation",
)


@pytest.mark.parametrize(
    ("handler", "variable"),
    [
        ("compile.compiled_model", "REQUEST_MACHINE_ARN"),
        ("compile.begin_compile", "JOBS_CODE_URI"),
        ("compile.register_artifact", "ARTIFACT_BUCKET"),
        ("compile.record_failure", "REGISTRY_TABLE"),
    ],
)
def test_a_missing_variable_stops_the_function_by_name(
    load: Load, monkeypatch: pytest.MonkeyPatch, handler: str, variable: str
) -> None:
    monkeypatch.delenv(variable)
    with pytest.raises(Exception, match=f"the environment variable {variable} is not set") as raised:
        load(handler)
    assert type(raised.value).__name__ == "SettingsError"


def test_a_variable_that_is_no_number_stops_the_function_by_name(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEASE_SECONDS", "ten")
    with pytest.raises(Exception, match="LEASE_SECONDS must be a whole number, not 'ten'"):
        load("compile.begin_compile")


def test_an_old_botocore_is_refused_with_both_versions(load: Load) -> None:
    aws = load("aws")
    with pytest.raises(aws.BotocoreError, match=r"botocore 1\.35\.99; the hooks need 1\.36\.0 or newer"):
        aws.check_botocore("1.35.99")


@pytest.mark.parametrize("version", ["1.36.0", "1.44.5", "2.0.0"])
def test_a_newer_botocore_is_taken(load: Load, version: str) -> None:
    load("aws").check_botocore(version)


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_imports_nothing_but_boto3_and_the_standard_library(environment: None, handler: str) -> None:
    program = (
        "import sys, boto3; had = set(sys.modules); "
        f"import neuron_hooks.{handler}; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - had} - sys.stdlib_module_names - {'neuron_hooks'})"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []


def test_no_client_is_made_before_it_is_used(load: Load) -> None:
    load("compile.begin_compile")
    assert load("aws").client.cache_info().currsize == 0


def test_the_asset_is_at_most_300_kilobytes() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for file in sorted((ROOT / "neuron_hooks").rglob("*.py")):
            opened.write(file, file.relative_to(ROOT))
    assert 0 < len(archive.getvalue()) <= 300_000
