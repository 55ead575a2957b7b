"""What ``neuron-cdk local deploy`` shows at the end."""

from __future__ import annotations

import io

from rich.console import Console

from neuron_cdk.local.deploy import Report, show


def _shown(report: Report) -> str:
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as captured:
        show(report, console)
    return captured.get()


def test_tables_of_what_there_is_none_of_are_left_out() -> None:
    stacks = [{"name": "fleets-Network", "seconds": 1.0, "changed": True}]

    shown = _shown(Report("fleets", changes=True, stacks=stacks))

    assert "fleets-Network" in shown
    assert "artifact key" not in shown
    assert "endpoint" not in shown


def test_models_and_endpoints_have_tables() -> None:
    model = {"artifact_key": "0" * 64, "cache": "miss", "compile_seconds": 2.0}

    shown = _shown(Report("models", models={"magika": model}, endpoints={"files": {"model": "other"}}))

    assert "magika" in shown
    assert "agrees with the original" in shown
