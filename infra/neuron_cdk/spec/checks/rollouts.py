"""How an endpoint moves to a new version: what SageMaker takes, and what it would do instead.

Sources: the SageMaker guide's "Deployment guardrails, Exclusions"; the API's BlueGreenUpdatePolicy,
RollingUpdatePolicy, TrafficRoutingConfig and AutoRollbackConfig.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..endpoint import Endpoint
from ..endpoints import MINUTE, may_roll, most_instances, on_inf1, rollout_kind, shift, shifts, variants, watched
from ..findings import Problem
from ..hosts import instance
from .common import Surroundings

# Shares that SageMaker's deployment policies take, percent: a first share, equal shares, batches of instances.
_SHARES = {"canary": (1, 50), "linear": (10, 50), "rolling": (5, 50)}
_MOST_ALARMS = 10
_MOST_MINUTES = 480  # MaximumExecutionTimeoutInSeconds
_ON_INF1 = "SageMaker updates Inf1 endpoints all at once and without watching, whatever was asked for"


def rollouts_are_possible(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    rollout = endpoint.rollout
    if on_inf1(endpoint):
        yield from _without_guardrails(endpoint)
        return
    kind = rollout_kind(endpoint)
    if endpoint.components and kind != "rolling":
        message = "components take no such rollout: SageMaker replaces their copies in batches"
        yield Problem("NCDK-ROLLOUT-003", ("rollout", "kind"), message, "rolling")
        return
    if kind == "rolling" and not endpoint.components and not may_roll(endpoint):
        yield Problem(
            "NCDK-ROLLOUT-006",
            ("rollout", "kind"),
            "SageMaker rolls endpoints of one variant, without a shadow",
            "all-at-once, canary, linear",
        )
        return
    if kind not in _SHARES:
        if rollout.percent is not None:
            yield Problem("NCDK-ROLLOUT-002", ("rollout", "percent"), f"{kind} has no shares", fix="remove percent")
        return
    lowest, highest = _SHARES[kind]
    if rollout.percent is not None and not lowest <= rollout.percent <= highest:
        yield Problem(
            "NCDK-ROLLOUT-001",
            ("rollout", "percent"),
            f"SageMaker takes no such share for {kind}",
            f"{lowest} to {highest}",
        )
    elif not endpoint.components and any(variant.size.min < 2 for variant in variants(endpoint) if not variant.shadow):
        yield Problem(
            "NCDK-ROLLOUT-009",
            ("rollout", "kind"),
            f"shares are whole instances, at most {highest} percent of them: with one running, SageMaker may refuse",
            f"{kind} with size.min 2 or more; all-at-once with any",
        )


def rollouts_are_watched(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    rollout = endpoint.rollout
    if on_inf1(endpoint):
        return
    for field in ("max_error_rate", "max_p99_ms"):
        if endpoint.components and getattr(rollout, field) is not None:
            yield Problem(
                "NCDK-ROLLOUT-014",
                ("rollout", field),
                "no metric tells a component's new copies from its old ones: an alarm on both stays on while a version "
                "fails, and so refuses the very update that would mend it",
                "alarms of yours, by name",
                f"remove {field}; a smoke_test takes back what fails",
            )
    scarce = any(host and host.accelerators for host in map(instance, endpoint.instance_types))
    if rollout.kind not in (None, "rolling") and scarce and not endpoint.components and endpoint.size.max > 1:
        most = sum(most_instances(endpoint, variant) for variant in variants(endpoint))
        yield Problem(
            "NCDK-ROLLOUT-007",
            ("rollout", "kind"),
            f"{rollout.kind} starts a second fleet beside the first, up to {most} scarce instances at once",
            fix="take rolling, which starts one batch at a time" if may_roll(endpoint) else "",
        )
    for field in ("wait_minutes", "bake_minutes"):
        if getattr(rollout, field) and not watched(rollout):
            yield Problem(
                "NCDK-ROLLOUT-008",
                ("rollout", field),
                "it waits, and nothing watches meanwhile",
                fix="add max_error_rate, max_p99_ms or alarms",
            )
    ours = sum(limit is not None for limit in (rollout.max_error_rate, rollout.max_p99_ms))
    needed = len(rollout.alarms) + ours * sum(not variant.shadow for variant in variants(endpoint))
    if needed > _MOST_ALARMS:
        yield Problem(
            "NCDK-ROLLOUT-013",
            ("rollout",),
            f"this takes {needed} alarms: those named, and one a variant for each of max_error_rate and max_p99_ms",
            f"up to {_MOST_ALARMS}",
            given=f"{needed} alarms",
        )


def waits_are_possible(endpoint: Endpoint, _: Surroundings) -> Iterator[Problem]:
    rollout, kind = endpoint.rollout, rollout_kind(endpoint)
    if on_inf1(endpoint):
        return
    if kind == "all-at-once" and rollout.wait_minutes is not None:
        yield Problem(
            "NCDK-ROLLOUT-011",
            ("rollout", "wait_minutes"),
            "all-at-once has no second shift to wait for",
            fix="use bake_minutes: how long the old instances stay after it",
        )
        return
    if kind == "rolling" and rollout.wait_minutes is not None and rollout.bake_minutes is not None:
        yield Problem(
            "NCDK-ROLLOUT-012",
            ("rollout", "wait_minutes"),
            "rolling has one wait, after every batch, the last one too",
            fix="keep one of wait_minutes and bake_minutes",
        )
        return
    waits, minutes = waits_of(endpoint)
    most = rollout.max_minutes or _MOST_MINUTES
    if minutes >= most:
        yield Problem(
            "NCDK-ROLLOUT-010",
            ("rollout", "max_minutes" if rollout.max_minutes else "wait_minutes" if waits else "bake_minutes"),
            f"the waits alone take {minutes} minutes, and after {most} SageMaker rolls it back",
            f"more than {minutes}" if minutes < _MOST_MINUTES else f"waits of less than {_MOST_MINUTES} minutes",
            "wait less, or move more at once",
        )


def waits_of(endpoint: Endpoint) -> tuple[int, int]:
    """How often a rollout waits between two shifts, and how many minutes all its waits take."""
    how = shift(endpoint)
    waits = shifts(endpoint) if how.kind == "rolling" else shifts(endpoint) - 1
    return waits, (waits * how.wait_s + how.termination_wait_s) // MINUTE


def _without_guardrails(endpoint: Endpoint) -> Iterator[Problem]:
    rollout = endpoint.rollout
    if rollout.kind not in (None, "all-at-once"):
        yield Problem("NCDK-ROLLOUT-004", ("rollout", "kind"), _ON_INF1, "all-at-once")
        return
    for field in ("percent", "wait_minutes", "bake_minutes", "max_minutes", "max_error_rate", "max_p99_ms", "alarms"):
        if getattr(rollout, field) not in (None, ()):
            yield Problem("NCDK-ROLLOUT-004", ("rollout", field), _ON_INF1, fix=f"remove {field}")
