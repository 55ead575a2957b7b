"""How a fleet's size follows a metric or the clock, and an endpoint's the clock."""

from __future__ import annotations

from collections.abc import Iterator

from ..cron import last_year, mistake
from ..deployment import Fleet, FleetScaling
from ..endpoint import Endpoint
from ..findings import Problem
from ..source import Pointer
from .common import Surroundings, other_place

_BORN = 2026  # before this program's year nothing it deployed can have run, whatever the clock says
_AT: Pointer = ("scaling",)


def fleet_scaling_works(fleet: Fleet, _: Surroundings) -> Iterator[Problem]:
    scaling = fleet.scaling
    if scaling is None:
        return
    if scaling.metric == "neuroncore-utilization" and scaling.target > 100:
        yield Problem("NCDK-SCALE-002", (*_AT, "target"), "utilization is a percentage", "above 0, to 100")
    limits = [fleet.size, *fleet.schedule]
    if all(each.min == each.max for each in limits):
        yield Problem("NCDK-SCALE-003", _AT, "there is nothing to scale: min and max are equal")
    if scaling.metric != "queue-depth" and all(each.min == 0 for each in limits):
        what = {"neuroncore-utilization": "utilization", "requests-per-target": "targets, and so no requests"}
        yield Problem(
            "NCDK-SCALE-004",
            ("size", "min"),
            f"an empty fleet has no {what[scaling.metric]}, so this scaling never brings it back from zero",
            fix="min 1, or grow it from zero by hand or by schedule",
        )
    if fleet.purpose == "training":
        yield Problem(
            "NCDK-SCALE-006",
            _AT,
            "a training fleet moves as one: scaling by instance takes members out of running jobs",
            fix="remove scaling, or make it an inference fleet",
        )


def scaling_metric_exists(fleet: Fleet, around: Surroundings) -> Iterator[Problem]:
    scaling = fleet.scaling
    if scaling is None:
        return
    if scaling.metric == "requests-per-target":
        if fleet.model is None:
            yield _no_requests("nobody sends requests to a fleet without a model", "add model: …")
        elif fleet.serving and fleet.serving.load_balancer == "network":
            yield _no_requests("a network load balancer passes connections on and counts no requests", "")
    yield from _queue(scaling, around)


def schedules_are_cron(part: Fleet | Endpoint, _: Surroundings) -> Iterator[Problem]:
    for index, entry in enumerate(part.schedule):
        at: Pointer = ("schedule", index, "cron")
        wrong = mistake(entry.cron)
        if wrong:
            example = 'minute hour day-of-month month day-of-week year, such as "0 8 ? * MON-FRI *"'
            yield Problem("NCDK-SCHEDULE-001", at, wrong, example)
        elif (year := last_year(entry.cron)) is not None and year < _BORN:
            yield Problem(
                "NCDK-SCHEDULE-005", at, f"the last time this comes is in {year}", f"{_BORN} or later, or * as the year"
            )


def schedules_are_possible(part: Fleet | Endpoint, _: Surroundings) -> Iterator[Problem]:
    """A schedule moves the limits within what there may ever be; min may go below the part's own, at night."""
    what, most = "fleet" if isinstance(part, Fleet) else "endpoint", part.size.max
    times = [" ".join(entry.cron.upper().split()) for entry in part.schedule]
    for index, entry in enumerate(part.schedule):
        at: Pointer = ("schedule", index)
        if entry.max > most:
            yield Problem(
                "NCDK-SCHEDULE-002",
                (*at, "max"),
                f"the {what} never has more than {most}, at any time of day",
                f"{entry.min} to {most}" if entry.min <= most else f"0 to {most}",
                "raise size.max, or lower this max",
            )
        if times[index] in times[:index]:
            yield Problem(
                "NCDK-SCHEDULE-003",
                (*at, "cron"),
                "another entry comes at the same time, and which of them holds is anybody's guess",
                fix="keep one of them",
            )
        if isinstance(part, Fleet) and part.purpose == "training":
            yield Problem(
                "NCDK-SCHEDULE-004",
                (*at, "cron"),
                "a training fleet changes size as a whole: a running job loses its instances at this time",
                fix="resize it between jobs instead",
            )


def _queue(scaling: FleetScaling, around: Surroundings) -> Iterator[Problem]:
    if scaling.metric == "queue-depth" and scaling.queue is None:
        yield Problem(
            "NCDK-SCALE-008",
            (*_AT, "metric"),
            "queue-depth counts the messages of a queue, and none is named",
            fix="add queue: arn:aws:sqs:…",
        )
    elif scaling.queue and scaling.metric != "queue-depth":
        yield Problem(
            "NCDK-SCALE-009",
            (*_AT, "queue"),
            f"{scaling.metric} counts no messages",
            "a queue with metric queue-depth",
            "remove queue, or set metric to queue-depth",
        )
    elif scaling.queue and (other := other_place(scaling.queue, around)):
        yield Problem(
            "NCDK-SCALE-011",
            (*_AT, "queue"),
            f"this queue is in {other}, and its messages are counted there",
            f"a queue in {around.place}",
        )


def _no_requests(message: str, fix: str) -> Problem:
    allowed = (
        "neuroncore-utilization, queue-depth; requests-per-target with a model behind an application load balancer"
    )
    return Problem("NCDK-SCALE-010", (*_AT, "metric"), message, allowed, fix)
