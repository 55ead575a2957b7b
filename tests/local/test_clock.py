"""One clock drives what acts by itself in the embedded AWS: it can be sped up, and moved on."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws, LocalError

Clients = Callable[[str], Any]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    """The server's clock: it needs nothing of the server's environment."""
    import neuron_cdk.local.server.clock as clock

    return clock


class _RealTime:
    """Real time that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def real() -> _RealTime:
    return _RealTime()


@pytest.fixture
def clock(module: ModuleType, real: _RealTime) -> Any:
    return module.Clock(real)


def test_tells_real_time_until_told_otherwise(clock: Any, real: _RealTime) -> None:
    real.now += 5
    assert clock.now() == 1005


def test_runs_faster_from_the_moment_it_is_told_to(clock: Any, real: _RealTime) -> None:
    real.now += 5
    clock.set_speed(120)
    real.now += 1
    assert clock.now() == 1005 + 120


def test_a_jump_adds_to_the_time(clock: Any) -> None:
    clock.advance(3600)
    assert clock.now() == 1000 + 3600


def test_a_timer_on_the_way_of_a_jump_sees_the_moment_it_was_due(clock: Any) -> None:
    seen: list[float] = []
    clock.call_later(600, lambda: seen.append(clock.now()))
    clock.advance(3600)
    assert seen == [1600]


def test_a_jump_runs_what_its_timers_set(clock: Any) -> None:
    seen: list[float] = []
    clock.call_later(60, lambda: clock.call_later(60, lambda: seen.append(clock.now())))
    clock.advance(3600)
    assert seen == [1120]


def test_timers_run_in_the_order_in_which_they_are_due(clock: Any) -> None:
    seen: list[str] = []
    clock.call_later(20, lambda: seen.append("second"))
    clock.call_later(10, lambda: seen.append("first"))
    clock.advance(30)
    assert seen == ["first", "second"]


def test_what_is_not_due_waits(clock: Any) -> None:
    seen: list[float] = []
    clock.call_later(60, lambda: seen.append(clock.now()))
    clock.advance(59)
    assert seen == []


def test_a_cancelled_timer_does_not_run(clock: Any) -> None:
    seen: list[float] = []
    clock.call_later(60, lambda: seen.append(clock.now())).cancel()
    clock.advance(3600)
    assert seen == []


def test_a_timer_that_fails_stops_no_other(clock: Any) -> None:
    seen: list[float] = []
    clock.call_later(10, lambda: 1 / 0)
    clock.call_later(20, lambda: seen.append(clock.now()))
    clock.advance(30)
    assert seen == [1020]


def test_a_jump_waits_for_real_work_that_is_under_way(module: ModuleType) -> None:
    clock = module.Clock()
    seen: list[float] = []
    start = clock.now()

    def begin() -> None:
        clock.hold()
        threading.Timer(0.1, finish).start()

    def finish() -> None:
        clock.call_later(5, lambda: seen.append(clock.now() - start))
        clock.release()

    clock.call_later(10, begin)

    clock.advance(60)

    assert seen == [pytest.approx(15, abs=0.01)]


def test_a_timer_comes_sooner_on_a_fast_clock(module: ModuleType) -> None:
    fast = module.Clock()
    rung = threading.Event()
    fast.call_later(60, rung.set)
    fast.set_speed(1200)
    assert rung.wait(5)


def test_a_jump_ends_a_sleep(module: ModuleType) -> None:
    clock = module.Clock()
    awake = threading.Event()

    def sleep() -> None:
        clock.sleep(3600)
        awake.set()

    threading.Thread(target=sleep, daemon=True).start()
    while not awake.wait(0.01):
        clock.advance(1800)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"speed": 0}, "speed is 0: give a number above 0, at most 100,000"),
        ({"speed": "fast"}, "speed is 'fast': give a number"),
        ({"advance_s": -1}, "advance_s is -1: the clock only goes forward, give 0 or more"),
        ({"advance_s": float("nan")}, "advance_s is nan: the clock only goes forward, give 0 or more"),
        ({"advance_s": float("inf")}, "advance_s is inf: the clock only goes forward, give 0 or more"),
        ({"advance_s": 1e300}, "advance_s is 1e\\+300: .* at most 315,360,000"),
        ({"speed": float("nan")}, "speed is nan: give a number above 0, at most 100,000"),
        ({"pace": 2}, "the clock has no pace: give speed, advance_s"),
    ],
)
def test_says_what_is_wrong_with_a_request(embedded_aws: EmbeddedAws, wanted: dict[str, Any], why: str) -> None:
    with pytest.raises(LocalError, match=why):
        embedded_aws.control("clock", wanted)


def test_what_is_refused_leaves_the_clock_as_it_was(embedded_aws: EmbeddedAws) -> None:
    before = embedded_aws.set_clock()
    with pytest.raises(LocalError, match="advance_s is nan"):
        embedded_aws.control("clock", {"speed": 120, "advance_s": float("nan")})
    after = embedded_aws.control("clock", {})
    assert after["speed"] == 1
    assert before <= after["now"] < before + 60


@pytest.mark.parametrize("saved", [{"offset": float("nan"), "speed": 1.0}, {"offset": 5.0, "speed": float("nan")}])
def test_a_saved_clock_that_tells_no_time_is_not_loaded(
    module: ModuleType, clock: Any, saved: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "clock", clock)
    module.load_persisted_state(saved)
    assert (clock.now(), clock.speed) == (1000, 1)


@pytest.fixture
def ticking(client: Clients) -> Iterator[Callable[[str], Callable[[], list[dict[str, Any]]]]]:
    """A scheduled rule with a queue; what comes out of it, as the events' bodies."""
    made: list[str] = []

    def make(expression: str) -> Callable[[], list[dict[str, Any]]]:
        name = f"ticks-{uuid.uuid4().hex[:8]}"
        queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("events").put_rule(Name=name, ScheduleExpression=expression)
        client("events").put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        made.append(name)

        def received() -> list[dict[str, Any]]:
            messages = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            return [json.loads(message["Body"]) for message in messages]

        return received

    yield make
    for name in made:
        client("events").remove_targets(Rule=name, Ids=["queue"])
        client("events").delete_rule(Name=name)


@pytest.fixture
def real_time_again(embedded_aws: EmbeddedAws) -> Iterator[None]:
    yield
    embedded_aws.set_clock(speed=1)


def test_a_jump_fires_a_scheduled_rule(embedded_aws: EmbeddedAws, ticking: Any, eventually: Any) -> None:
    received = ticking("rate(1 hour)")
    embedded_aws.set_clock(advance_s=3600)
    assert eventually(received)


def test_a_scheduled_event_has_the_time_of_the_clock(embedded_aws: EmbeddedAws, ticking: Any, eventually: Any) -> None:
    received = ticking("rate(1 day)")
    now = embedded_aws.set_clock(advance_s=86_400)
    (event,) = eventually(received)
    told = datetime.fromisoformat(event["time"]).timestamp()
    assert now - 3600 < told <= now


@pytest.mark.usefixtures("real_time_again")
def test_a_rule_of_a_minute_fires_more_than_once_a_minute_at_speed_120(
    embedded_aws: EmbeddedAws, ticking: Any, eventually: Any
) -> None:
    received = ticking("rate(1 minute)")
    embedded_aws.set_clock(speed=120)
    eventually(received)
    started = time.monotonic()
    eventually(received)
    assert time.monotonic() - started < 60


def test_the_clock_goes_on_from_where_it_was_after_a_restart(own_aws: EmbeddedAws) -> None:
    own_aws.up()
    before = own_aws.set_clock(advance_s=86_400)
    own_aws.down()
    own_aws.up()
    assert own_aws.set_clock() >= before
