"""Two endpoints under a load that rises and falls, on the embedded AWS: what ``images/endpoint-scaling.svg`` shows.

Nothing in it is reckoned: ``neuron-cdk local deploy`` deploys the endpoints, requests are sent, and the alarms and
policies are those that the endpoints' hooks registered. Only the clock is fast. ``python -m docs.scaling_run`` writes
down what was seen; ``tests/local/test_endpoint_scaling.py`` plays the same run.

The load is a number of requests at a time, not a rate: how many a fast clock's minute has depends on the machine, how
many there are at a time does not. What comes next begins when what was waited for is there, so a slow machine has a
longer run, and no other one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import ClientError

from . import scaling_record as record
from .scaling_platform import TARGET, Platform, Seen, deployed

KEPT = Path(__file__).resolve().parent / "images" / "endpoint-scaling.json"

STEPS = ((1, 1), (3, 2), (6, 3), (3, 2), (1, 1))
"""Requests at a time, and the instances that the target asks for: 6 with 2 instances are 3 each, and 2 x 3 / 2 is 3.

Each has room: with a third of the requests elsewhere than at an instance, it would be the same number.
"""
_STAY_MINUTES = 3  # after each step has come to what it asks for
_ANSWER_MS = 600  # a request's time at an instance; whatever else it takes is little against it
_ASK_SECONDS = 20  # of the clock, from one request to the endpoint that sleeps to the next
_AWAKE_MINUTES = 6  # for which it is asked
_FAST, _SLOW = 80, 15
"""Speeds of the clock: usually, and while containers start, which takes minutes on AWS and real seconds here."""
_PATIENCE_S = 300  # of real time, for each thing that is waited for


@dataclass
class Run:
    """What came of it.

    :param lost: errors of requests to the endpoint under load.
    :param refusals: errors of requests to the endpoint that sleeps.
    :param scores: what the model said to each of the others.
    :param activities: of both endpoints, as Application Auto Scaling describes them, the oldest first.
    :param changed: when each step of the load began, in seconds of the clock.
    """

    lost: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)
    activities: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    changed: list[float] = field(default_factory=list)
    record: record.Record | None = None


class Stage:
    """The endpoints under load, and somebody who looks all the time and keeps the clock's pace."""

    def __init__(self, platform: Platform, run: Run) -> None:
        self.platform, self._run = platform, run
        self.level = 0
        """Requests at a time to the endpoint under load."""
        self._changed = threading.Condition()
        self.seen = [platform.seen(0)]
        self._ended = False
        self._wrong: Exception | None = None

    @contextmanager
    def under_load(self) -> Iterator[None]:
        most = max(level for level, _ in STEPS)
        threads = [threading.Thread(target=self._look)]
        threads += [threading.Thread(target=self._ask, args=(number,)) for number in range(most)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def set_level(self, level: int) -> None:
        with self._changed:
            self.level = level
            self._changed.notify_all()

    def wait(self, what: str, there: Callable[[Seen], bool]) -> Seen:
        """Until it is there. Raises ``TimeoutError`` when that takes too much real time."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._wrong or there(self.seen[-1]), _PATIENCE_S)
            if self._wrong:
                raise self._wrong
            if not came:
                raise TimeoutError(f"{what}: it is {self.seen[-1]}")
            return self.seen[-1]

    def pass_time(self, seconds: float) -> None:
        until = self.seen[-1].now + seconds
        self.wait(f"{seconds:g} s of the clock", lambda seen: seen.now >= until)

    def _look(self) -> None:
        fast: bool | None = None
        try:
            while not self._ended:
                seen = self.platform.seen(self.level)
                if fast is seen.busy or fast is None:
                    fast = not seen.busy
                    self.platform.aws.set_clock(speed=_FAST if fast else _SLOW)
                with self._changed:
                    self.seen.append(seen)
                    self._changed.notify_all()
                time.sleep(0.05)
        except Exception as error:
            with self._changed:
                self._wrong = error
                self._changed.notify_all()

    def _ask(self, number: int) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self.level > number)
                if self._ended:
                    return
            try:
                self.platform.ask(self.platform.serving)
            except Exception as error:
                self._run.lost.append(str(error))


def play(platform: Platform) -> Run:
    """The whole run."""
    run = Run()
    config = platform.client("sagemaker").describe_endpoint(EndpointName=platform.serving)["EndpointConfigName"]
    platform.aws.control("endpoints", {"fail": {config: {"latency_ms": _ANSWER_MS}}})
    stage = Stage(platform, run)
    with stage.under_load(), ThreadPoolExecutor(2) as both:
        for ended in [both.submit(_serve, stage, run), both.submit(_sleep, stage, run)]:
            ended.result()
    run.activities = {
        "serving": platform.activities(f"endpoint/{platform.serving}/variant/Main"),
        "sleeping": platform.activities(f"inference-component/{platform.component}"),
    }
    run.record = _kept(platform, run, stage.seen)
    return run


def _serve(stage: Stage, run: Run) -> None:
    """Step by step up, and down again."""
    for level, instances in STEPS:
        run.changed.append(stage.seen[-1].now)
        stage.set_level(level)
        stage.wait(
            f"{instances} instances for {level} requests at a time",
            lambda seen, wanted=instances: seen.instances == seen.desired == wanted,  # type: ignore[misc]
        )
        stage.pass_time(60 * _STAY_MINUTES)


def _sleep(stage: Stage, run: Run) -> None:
    """Nobody asks, until there is nothing; then somebody does, for a while; then nobody again."""
    asleep = "no copies and no instances"
    stage.wait(asleep, lambda seen: seen.copies == seen.hosts == 0)
    stage.pass_time(60 * _STAY_MINUTES)
    until, started = None, time.monotonic()
    while until is None or stage.seen[-1].now < until:
        try:
            scores = stage.platform.ask(stage.platform.sleeping, InferenceComponentName=stage.platform.component)
        except ClientError as error:
            run.refusals.append(str(error))
            if until or time.monotonic() > started + _PATIENCE_S:
                raise
        else:
            run.scores.append(scores)
            until = until or stage.seen[-1].now + 60 * _AWAKE_MINUTES
        stage.pass_time(_ASK_SECONDS)
    stage.wait(f"{asleep} again", lambda seen: seen.copies == seen.hosts == 0)
    stage.pass_time(60)


def _kept(platform: Platform, run: Run, seen: Sequence[Seen]) -> record.Record:
    """Counts as each minute ended, metrics of each minute."""
    start = int(seen[0].now // 60 + 1) * 60
    minutes = int(seen[-1].now - start) // 60
    ends, latest = list[Seen](), seen[0]
    rest = iter(seen)
    following = next(rest, None)
    for minute in range(minutes):
        while following is not None and following.now < start + 60 * (minute + 1):
            latest, following = following, next(rest, None)
        ends.append(latest)

    def metric(name: str, statistic: str, **dimensions: str) -> list[float | None]:
        return platform.metric(name, statistic, start, minutes, **dimensions)

    def counted(name: str) -> list[int]:
        return [int(value or 0) for value in metric(name, "Sum", InferenceComponentName=platform.component)]

    concurrent = metric("ConcurrentRequestsPerModel", "Maximum", EndpointName=platform.serving, VariantName="Main")
    activities = {
        name: [_activity(each, start) for each in found if each["StatusCode"] == "Successful"]
        for name, found in run.activities.items()
    }
    return record.Record(
        minutes=minutes,
        serving=record.Serving(
            target=TARGET,
            asked=[each.asked for each in ends],
            concurrent=[value if value is None else round(value, 2) for value in concurrent],
            instances=[each.instances for each in ends],
            desired=desired(ends[0].desired, activities["serving"], minutes),
            activities=activities["serving"],
        ),
        sleeping=record.Sleeping(
            answered=counted("Invocations"),
            refused=counted("NoCapacityInvocationFailures"),
            copies=[each.copies for each in ends],
            instances=[each.hosts for each in ends],
            activities=activities["sleeping"],
        ),
    )


def _activity(described: dict[str, Any], start: float) -> record.Activity:
    return record.Activity(
        minute=int(described["StartTime"].timestamp() - start) // 60, policy=policy(described), wanted=wanted(described)
    )


def desired(first: int, activities: Sequence[record.Activity], minutes: int) -> list[int]:
    """As the activities set it, which know when to the second; who looks now and then sees it later."""
    at = {each.minute: each.wanted for each in activities}
    counts = [first]
    for minute in range(minutes):
        counts.append(at.get(minute, counts[-1]))
    return counts[1:]


def policy(activity: dict[str, Any]) -> str:
    """The policy that an alarm called."""
    name: str = activity["Cause"].rpartition(" triggered policy ")[2]
    return name


def wanted(activity: dict[str, Any]) -> int:
    """The count that the activity set."""
    return int(activity["Description"].rstrip(".").rpartition(" ")[2])


if __name__ == "__main__":
    with TemporaryDirectory() as folder, deployed(Path(folder)) as platform:
        played = play(platform)
    assert played.record is not None
    KEPT.write_text(played.record.text(), encoding="utf-8")
    print(f"{played.record.minutes} minutes of the clock in {KEPT.name}")
