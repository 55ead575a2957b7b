"""Which host comes next, and when there is none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]
HOSTS = ("ml.m5.4xlarge", "ml.m7i.4xlarge", "ml.r5.4xlarge")


@pytest.fixture
def tries(load: Load) -> ModuleType:
    return load("compile.tries")


@pytest.fixture
def after(tries: ModuleType) -> Callable[..., Any]:
    def call(plan: dict[str, Any], kind: str, **more: Any) -> Any:
        return tries.after(plan, kind, **{"hosts": HOSTS, "host": "", "spent": 0.0, **more})

    return call


def types(plan: dict[str, Any]) -> list[str]:
    cluster = plan["cluster"]
    if "InstanceType" in cluster:
        return [cluster["InstanceType"]]
    return [one["InstanceType"] for one in cluster["InstancePreferences"]]


def test_sagemaker_chooses_first_among_at_most_five(tries: ModuleType) -> None:
    assert types(tries.first(HOSTS)) == list(HOSTS)
    assert "InstanceType" not in tries.first(HOSTS)["cluster"]
    assert len(types(tries.first([f"ml.m5.{n}xlarge" for n in range(9)]))) == 5


def test_one_type_is_no_preference(tries: ModuleType) -> None:
    assert tries.first(HOSTS[:1])["cluster"] == {"InstanceType": HOSTS[0], "InstanceCount": 1}


@pytest.mark.parametrize("kind", ["capacity", "quota", "no quota", "unknown to the service"])
def test_when_a_choice_cannot_be_had_each_type_is_tried_alone(tries: ModuleType, after: Any, kind: str) -> None:
    plan, seconds = after(tries.first(HOSTS), kind)
    assert (types(plan), plan["left"], plan["number"], seconds) == ([HOSTS[0]], list(HOSTS[1:]), 1, 1)


def test_every_type_is_tried_before_the_round_begins_again(tries: ModuleType, after: Any) -> None:
    plan, tried, waits = tries.first(HOSTS), [], []
    for _ in range(5):
        plan, seconds = after(plan, "capacity")
        tried.append(types(plan)[0])
        waits.append(seconds)
    assert tried == [*HOSTS, HOSTS[0], HOSTS[1]]
    assert waits == [1, 1, 1, 120, 1]
    assert plan["number"] == 5


def test_when_every_quota_is_zero_waiting_does_not_help(tries: ModuleType, after: Any) -> None:
    plan = tries.first(HOSTS)
    for _ in HOSTS:
        plan, _ = after(plan, "no quota")
    assert after(plan, "no quota") is None


def test_one_type_that_may_come_is_worth_another_round(tries: ModuleType, after: Any) -> None:
    plan, _ = after(tries.first(HOSTS), "no quota")
    for kind in ("no quota", "capacity"):
        plan, _ = after(plan, kind)
    following, seconds = after(plan, "no quota")
    assert (types(following), seconds, following["short"]) == ([HOSTS[0]], 120, False)


def test_what_passes_is_tried_again_three_times_on_the_same_hosts(tries: ModuleType, after: Any) -> None:
    plan, waits = tries.first(HOSTS), []
    for _ in range(3):
        plan, seconds = after(plan, "passing")
        waits.append(seconds)
        assert types(plan) == list(HOSTS)
    assert waits == [30, 60, 120]
    assert after(plan, "passing") is None


@pytest.mark.parametrize("kind", ["container", "artifact", "time", "stopped", "refused"])
def test_what_would_fail_again_or_was_meant_is_not_tried_again(tries: ModuleType, after: Any, kind: str) -> None:
    assert after(tries.first(HOSTS), kind) is None


def test_a_host_that_was_too_small_is_followed_by_a_larger_one_only(tries: ModuleType, after: Any) -> None:
    plan, _ = after(tries.first(HOSTS), "memory", host="ml.m5.4xlarge")
    assert types(plan) == ["ml.r5.4xlarge"]
    assert after(plan, "memory", host="ml.r5.4xlarge") is None


def test_what_is_known_to_be_too_small_is_not_tried_again_for_another_reason(tries: ModuleType, after: Any) -> None:
    plan, _ = after(tries.first(HOSTS), "memory", host="ml.m5.4xlarge")
    plan, seconds = after(plan, "capacity")
    assert (types(plan), plan["left"], seconds) == (["ml.r5.4xlarge"], [], 120)


def test_a_first_try_leaves_out_what_is_known_to_be_too_small(tries: ModuleType, after: Any) -> None:
    hosts = (*HOSTS, "ml.m5.12xlarge")
    assert types(tries.first(hosts, 64)) == ["ml.r5.4xlarge", "ml.m5.12xlarge"]
    plan, _ = after(tries.first(hosts, 64), "capacity", hosts=hosts)
    assert (types(plan), plan["left"]) == (["ml.r5.4xlarge"], ["ml.m5.12xlarge"])


def test_where_all_are_too_small_the_largest_is_tried(tries: ModuleType) -> None:
    assert types(tries.first(HOSTS, 128)) == ["ml.r5.4xlarge"]


def test_six_jobs_are_enough(tries: ModuleType, after: Any) -> None:
    plan = {**tries.first(HOSTS), "runs": 4}
    assert after(plan, "memory", host="ml.m5.4xlarge", ran=True)[0]["runs"] == 5
    for kind in ("passing", "memory"):
        assert after({**plan, "runs": 5}, kind, host="ml.m5.4xlarge", ran=True) is None


def test_tries_on_which_nothing_ran_are_not_counted(tries: ModuleType, after: Any) -> None:
    plan = tries.first(HOSTS)
    for _ in range(20):
        plan, _ = after(plan, "capacity")
    assert plan["runs"] == 0


def test_a_plan_of_version_0_1_0_is_read(tries: ModuleType, after: Any) -> None:
    old = {name: value for name, value in tries.first(HOSTS).items() if name not in ("runs", "too_small")}
    plan, _ = after(old, "memory", host="ml.m5.4xlarge", ran=True)
    assert (types(plan), plan["runs"], plan["too_small"]) == (["ml.r5.4xlarge"], 1, 64)


def test_what_the_tries_before_cost_is_added_up(tries: ModuleType, after: Any) -> None:
    plan, _ = after(tries.first(HOSTS), "passing", spent=0.5)
    plan, _ = after(plan, "passing", spent=0.25)
    assert plan["usd"] == 0.75


@pytest.mark.parametrize(
    ("host", "gib"),
    [("ml.m5.large", 8), ("ml.m7i.xlarge", 16), ("ml.r5.4xlarge", 128), ("ml.c6i.2xlarge", 16), ("ml.inf2.xlarge", 0)],
)
def test_memory_follows_from_the_name(tries: ModuleType, host: str, gib: int) -> None:
    assert tries.gib(host) == gib
