"""How far the replacement of a fleet's instances is, and when CloudFormation is answered."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

NOW = 10_000


@pytest.fixture
def look(load: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """``look(status="InProgress", failing={…})``: one group of three instances, its refresh started at ``NOW``."""
    refresh, state = load("fleet.instance_refresh"), load("fleet.state")

    def ask(*, status: str = "InProgress", failing: dict[str, int] | None = None, after: int = 60) -> Any:
        renewal = state.Renewal({}, "2", NOW + refresh.DEADLINE_S, {"group": "older"})
        newest = {"group": refresh.InstanceRefresh("ours", status, "because")}
        return refresh.look(renewal, newest, {"group": 3}, failing or {}, NOW + after)

    return ask


def test_a_refresh_under_way_is_waited_for(look: Callable[..., Any]) -> None:
    assert look().end == ""


def test_a_refresh_that_ended_well_is_the_answer(look: Callable[..., Any]) -> None:
    assert look(status="Successful").end == "done"


def test_a_refresh_that_failed_is_told_with_its_reason(look: Callable[..., Any]) -> None:
    progress = look(status="Failed")
    assert progress.end == "failed"
    assert "because" in progress.reason


def test_instances_that_do_not_come_up_end_it_at_once_and_cancel_it(look: Callable[..., Any]) -> None:
    progress = look(failing={"group": NOW + 30})
    assert progress.end == "failed"
    assert progress.cancel == ("group",)
    assert "do not come into service" in progress.reason


def test_launches_that_failed_before_it_began_say_nothing(look: Callable[..., Any]) -> None:
    assert look(failing={"group": NOW - 1}).end == ""


def test_cloudformation_does_not_wait_for_ever(look: Callable[..., Any]) -> None:
    assert look(after=55 * 60).end == "running"
