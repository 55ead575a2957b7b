"""The smoke tests of an endpoint, run."""

from __future__ import annotations

import time
import uuid

from . import endpoint_aws, endpoint_smoke, log
from .endpoint_deadline import Deadline, EndpointError
from .endpoint_declaration import Declaration, SmokeTest

_POLL_SECONDS = 0.2
_START_SECONDS = (2, 5)  # between the first tries: a container may pass its health check before it can answer


def run(endpoint: str, declaration: Declaration, deadline: Deadline) -> dict[str, float]:
    """Ask everything that has a smoke test; the best milliseconds of each.

    What sleeps is woken first: a version that nobody asked is not known to work. Scaling puts it to sleep again.

    :raises EndpointError: for an error, or an answer that took too long.
    """
    best: dict[str, float] = {}
    for test in declaration.smoke_tests:
        _wake(endpoint, test, deadline)
        milliseconds = [_first(endpoint, test, declaration, deadline)]
        while not endpoint_smoke.enough(test, milliseconds):
            milliseconds.append(_timed(endpoint, test, declaration, deadline))
        best[test.asked] = endpoint_smoke.best(milliseconds)
        problem = endpoint_smoke.too_slow(test, milliseconds)
        log.decision("smoke test", key=endpoint, asked=test.asked, milliseconds=milliseconds, problem=problem)
        if problem:
            raise EndpointError(problem)
    return best


def _first(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline) -> float:
    for pause in _START_SECONDS:
        try:
            return _timed(endpoint, test, declaration, deadline)
        except EndpointError as error:
            log.decision("asked in vain", key=endpoint, asked=test.asked, error=str(error))
            deadline.wait(str(error), pause)
    return _timed(endpoint, test, declaration, deadline)


def _timed(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline) -> float:
    start = time.monotonic()
    try:
        if test.mode == "async":
            _queued(endpoint, test, declaration, deadline)
        else:
            endpoint_aws.invoke(endpoint_smoke.invocation(endpoint, test))
    except endpoint_aws.ContainerError as error:
        raise EndpointError(f"the smoke test of {test.asked} failed: {error}") from error
    return (time.monotonic() - start) * 1000


def _queued(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline) -> None:
    """Ask through the queue, and wait for an answer: what is measured is the whole way."""
    uri = f"{declaration.input_prefix}{uuid.uuid4()}.json"
    endpoint_aws.put(uri, endpoint_smoke.body(test))
    outcome = endpoint_aws.invoke_later(endpoint, uri)
    while endpoint_aws.read(outcome.answer) is None:
        error = endpoint_aws.read(outcome.error) if outcome.error else None
        if error is not None:
            raise endpoint_aws.ContainerError(error.decode(errors="replace"))
        deadline.wait(f"the smoke test of {test.asked} has no answer at {outcome.answer}", _POLL_SECONDS)
    endpoint_aws.delete(uri)  # the bucket forgets by itself what a run leaves that does not come to this


def _wake(endpoint: str, test: SmokeTest, deadline: Deadline) -> None:
    if test.component:
        _wake_component(test.component, deadline)
    elif test.mode == "async":
        _wake_queue(endpoint, deadline)


def _wake_component(name: str, deadline: Deadline) -> None:
    asked = False
    while (seen := endpoint_aws.component(name)) is not None and (seen.moves or not seen.copies):
        if not seen.moves and not asked:
            endpoint_aws.wake_component(name)
            asked = True
        deadline.wait(f"component {name} has no copy to test, its status is {seen.status} {seen.failure}".strip())


def _wake_queue(endpoint: str, deadline: Deadline) -> None:
    asked = False
    while (seen := endpoint_aws.endpoint(endpoint)) is not None and not any(seen.instances.values()):
        if not seen.moves and not asked:
            endpoint_aws.wake_variant(endpoint, next(iter(seen.instances)))
            asked = True
        deadline.wait(
            f"endpoint {endpoint} has no instance to test, its status is {seen.status} {seen.failure}".strip()
        )
