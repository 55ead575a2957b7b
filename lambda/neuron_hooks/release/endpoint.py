"""Releases to a SageMaker endpoint: what ``release.kind.Kind`` asks for.

A release has a model and a configuration of its own. They are made before the endpoint moves, kept while they serve and
for one release after that, and deleted then. SageMaker itself may take an update back, and says so in passing: what is
in service is compared with what was asked for. Scaling is registered once that has been seen, as ``endpoint.hook`` does
it for endpoints of CloudFormation (``docs/adr/0013-scaling-belongs-to-the-hook.md``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .. import log
from ..endpoint import aws as endpoint_aws
from ..endpoint import change, registration, scaling, tests, verification
from ..endpoint.deadline import Deadline, EndpointError
from ..endpoint.declaration import Declaration
from ..endpoint.seen import Endpoint
from . import aws as release_aws
from .endpoint_blueprint import ALARMS, Blueprint, endpoint_of, fill, is_made
from .kind import NotYetError, Progress, Release, Released, ReleaseError

_FAILED = "Failed"  # of a creation: such an endpoint takes no update


def apply(release: Release, last_good: Released | None, /) -> Mapping[str, Any]:
    blueprint = fill(release)
    seen = endpoint_aws.endpoint(blueprint.endpoint)
    if seen is None or seen.configuration != blueprint.name:
        _make(blueprint)
        _move(blueprint, seen, _declared(last_good))
    return {"EndpointName": blueprint.endpoint, "Configuration": blueprint.name}


def progress(release: Release, /) -> Progress:
    blueprint = fill(release)
    seen = endpoint_aws.endpoint(blueprint.endpoint)
    if seen is None:
        return Progress("failed", f"there is no endpoint {blueprint.endpoint}: somebody deleted it")
    if seen.moves:
        return Progress("moving", f"endpoint {blueprint.endpoint} is {seen.status}")
    problem = verification.endpoint_problem(seen, blueprint.name, None)
    return Progress("failed", problem) if problem else Progress("done")


def verify(release: Release, seconds: int, /) -> str:
    blueprint = fill(release)
    seen = endpoint_aws.endpoint(blueprint.endpoint)
    if seen is None:
        return f"there is no endpoint {blueprint.endpoint}: somebody deleted it"
    problem = verification.endpoint_problem(seen, blueprint.name, None)
    if problem:
        return problem
    problems = verification.problems(
        blueprint.declaration,
        seen,
        endpoint_aws.configuration(blueprint.name) or {},
        endpoint_aws.models([blueprint.name]),
        {},
    )
    if problems:
        return "; ".join(problems)
    try:
        measured = tests.run(blueprint.endpoint, blueprint.declaration, Deadline(time.monotonic() + seconds))
    except EndpointError as error:
        return str(error)
    images = verification.digests(seen, {})
    log.decision("verified", key=release.artifact_key, release=release.id, measured_ms=measured, images=images)
    return ""


def settle(release: Release, last_good: Released | None, /) -> None:
    blueprint = fill(release)
    _scale(blueprint, _declared(last_good))


def take_back(release: Release, last_good: Released | None, /) -> Progress:
    if last_good is None:
        return remove(release, None)
    bad, good = _readable(release), fill(last_good)
    seen = endpoint_aws.endpoint(good.endpoint)
    if seen is not None and seen.moves:
        return Progress("moving", f"endpoint {good.endpoint} is {seen.status}")
    if seen is None or seen.configuration != good.name:
        if release.looks and seen is not None and seen.failure:
            return Progress("failed", f"endpoint {good.endpoint} is {seen.status}: {seen.failure}")
        _move(good, seen, [bad.declaration] if bad else [], back=True)
        return Progress("moving", f"endpoint {good.endpoint} goes back to {good.name}")
    if seen.status != "InService":
        return Progress("failed", f"endpoint {good.endpoint} is {seen.status}: {seen.failure}")
    _scale(good, [bad.declaration] if bad else [])
    _tidy(good.endpoint, {last_good.id}, only={release.id})
    return Progress("done")


def tidy(kept: Sequence[Released], /) -> None:
    _tidy(endpoint_of(kept[0].declaration), {one.id for one in kept})


def remove(release: Release, last_good: Released | None, /) -> Progress:
    name = endpoint_of(release.declaration)
    if not name:
        return Progress("done")  # nothing was made of what cannot be read
    seen = endpoint_aws.endpoint(name)
    readable = _readable(release)
    before = [*_declared(last_good), *([readable.declaration] if readable else [])]
    registration.settle(name, None, before, seen.instances if seen else ())
    if seen is not None:
        if not seen.moves:
            release_aws.delete_endpoint(name)
        return Progress("moving", f"endpoint {name} is {seen.status}")
    _tidy(name, set())
    return Progress("done")


# -- Parts -----------------------------------------------------------------------------------------------------------


def _make(blueprint: Blueprint) -> None:
    release_aws.create_model(blueprint.model)
    release_aws.create_configuration(blueprint.configuration)
    for alarm in blueprint.alarms:
        release_aws.put_alarm(alarm)


def _move(blueprint: Blueprint, seen: Endpoint | None, before: list[Declaration], *, back: bool = False) -> None:
    """Create the endpoint, or update it once nothing that scales is in the way.

    :raises NotYetError: it moves.
    """
    name = blueprint.endpoint
    if seen is None:
        release_aws.create_endpoint(blueprint.create())
        return
    if seen.moves:
        raise NotYetError(f"endpoint {name} is {seen.status}")
    if seen.status == _FAILED:
        release_aws.delete_endpoint(name)
        raise NotYetError(f"endpoint {name} could not be created before ({seen.failure}), and is deleted first")
    serves = endpoint_aws.configuration(seen.configuration)
    comes = endpoint_aws.configuration(blueprint.name)
    if comes is None:
        raise ReleaseError(f"there is no configuration {blueprint.name}: somebody deleted it")
    # Of a configuration that somebody deleted nothing is known: any of its variants may be one that changes.
    leaving = change.leaving(serves, comes) if serves is not None else tuple(seen.instances)
    addresses = [scaling.variant(name, variant) for variant in leaving]
    registration.remove(name, addresses, before)
    release_aws.update_endpoint(blueprint.update(back=back))
    log.decision("endpoint moves", key=name, configuration=blueprint.name, back=back, left=[at.id for at in addresses])


def _scale(blueprint: Blueprint, before: list[Declaration]) -> None:
    seen = endpoint_aws.endpoint(blueprint.endpoint)
    instances = seen.instances if seen else ()
    registration.settle(blueprint.endpoint, blueprint.declaration, before, instances)


def _tidy(endpoint: str, kept: set[str], *, only: set[str] | None = None) -> None:
    """Delete alarms, configurations and models of releases to this endpoint.

    :param kept: ids of releases whose things stay.
    :param only: ids of releases whose things go; by default those of all others.
    """

    prefix = f"{endpoint}-"
    there = {*release_aws.configurations(prefix), *release_aws.models(prefix)}
    ids = {name.removeprefix(prefix) for name in there if is_made(name, endpoint)} - kept
    for id in sorted(ids if only is None else ids & only):
        for ending in ALARMS:
            endpoint_aws.delete_alarm(f"{prefix}{id}-{ending}")
        release_aws.delete_configuration(f"{prefix}{id}")
        release_aws.delete_model(f"{prefix}{id}")  # the last: what has no model has nothing else
        log.decision("deleted", key=endpoint, release=id)


def _declared(released: Released | None) -> list[Declaration]:
    readable = _readable(released) if released else None
    return [readable.declaration] if readable else []


def _readable(release: Release | Released) -> Blueprint | None:
    """A blueprint for what it left behind; None where it cannot be read."""
    try:
        return fill(release)
    except ReleaseError:
        return None
