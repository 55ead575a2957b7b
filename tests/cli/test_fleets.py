"""``neuron-cdk fleets`` as a command, with what is deployed as plain values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from neuron_cdk.cli import fleets
from neuron_cdk.cli.live_fleets import LiveFleet

FILE = str(Path(__file__).parents[2] / "deployments" / "production.yaml")
SAID = "fleet serve is not deployed: there is no stack production-Fleet-serve"


@pytest.fixture(autouse=True)
def not_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_aws: Any, _deployment: Any, names: Any) -> list[LiveFleet]:
        return [LiveFleet(name, f"production-Fleet-{name}") for name in names]

    monkeypatch.setattr(fleets, "_ask", lambda *_: None)
    monkeypatch.setattr(fleets, "_read", read)


@pytest.mark.parametrize("words", [["show", FILE, "serve"], ["scale", FILE, "serve", "3"]], ids=["show", "scale"])
def test_a_fleet_that_is_not_deployed_is_1(words: list[str]) -> None:
    done = CliRunner().invoke(fleets.app, words)

    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"neuron-cdk: {SAID}\n")


def test_and_json_where_json_is_asked_for() -> None:
    done = CliRunner().invoke(fleets.app, ["show", FILE, "serve", "--json"])

    assert (done.exit_code, json.loads(done.stdout), done.stderr) == (1, {"error": SAID}, "")


def test_in_a_list_it_is_no_failure() -> None:
    done = CliRunner().invoke(fleets.app, ["list", FILE])

    assert done.exit_code == 0
    assert "not deployed" in done.stdout
