"""The smoke tests of an endpoint, and the golden examples of what it serves, run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from .. import log
from . import aws as endpoint_aws
from . import golden, golden_tests, smoke
from .deadline import Deadline, EndpointError
from .declaration import Declaration, SmokeTest

T = TypeVar("T")

_POLL_SECONDS = 0.2
_MOST_BYTES = 32 << 20  # of an answer to a golden example
_START_SECONDS = (2, 5)  # between the first tries: a container may pass its health check before it can answer


def run(endpoint: str, declaration: Declaration, deadline: Deadline) -> dict[str, float]:
    """Ask everything that has a smoke test, then the golden examples of all that is awake; the best milliseconds of
    each smoke test.

    What has a smoke test and sleeps is woken first: a version that nobody asked is not known to work. Scaling puts it
    to sleep again.

    :raises EndpointError: for an error, an answer that took too long, or one that is not the right one.
    """
    best: dict[str, float] = {}
    for test in declaration.smoke_tests:
        _wake(endpoint, test, deadline)
        milliseconds = [_first(endpoint, test, declaration, deadline)]
        while not smoke.enough(test, milliseconds):
            milliseconds.append(_timed(endpoint, test, declaration, deadline))
        best[test.asked] = smoke.best(milliseconds)
        problem = smoke.too_slow(test, milliseconds)
        log.decision("smoke test", key=endpoint, asked=test.asked, milliseconds=milliseconds, problem=problem)
        if problem:
            raise EndpointError(problem)
    _golden(endpoint, declaration, deadline)
    return best


def _golden(endpoint: str, declaration: Declaration, deadline: Deadline) -> None:
    for test, example, called in golden_tests.tests(declaration):
        if not _is_awake(endpoint, test):
            log.decision("not asked, it sleeps", key=endpoint, asked=called)
            continue
        ask = partial(_ask, endpoint, test, declaration, deadline, called)
        problem = golden.problem(_persistently(endpoint, called, ask, deadline), example)
        log.decision("golden example", key=endpoint, asked=called, problem=problem)
        if problem:
            raise EndpointError(
                f"{called} is answered wrongly: {problem}. If that is near enough for this model, give its source a "
                f"{golden.FILE} with a tolerance of its own"
            )


def _first(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline) -> float:
    ask = partial(_timed, endpoint, test, declaration, deadline)
    return _persistently(endpoint, test.asked, ask, deadline)


def _persistently(endpoint: str, called: str, ask: Callable[[], T], deadline: Deadline) -> T:
    for pause in _START_SECONDS:
        try:
            return ask()
        except EndpointError as error:
            log.decision("asked in vain", key=endpoint, asked=called, error=str(error))
            deadline.wait(str(error), pause)
    return ask()


def _timed(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline) -> float:
    start = time.monotonic()
    _ask(endpoint, test, declaration, deadline, f"the smoke test of {test.asked}")
    return (time.monotonic() - start) * 1000


def _ask(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline, called: str) -> bytes:
    try:
        if test.mode == "async":
            return _queued(endpoint, test, declaration, deadline, called)
        return endpoint_aws.invoke(smoke.invocation(endpoint, test))
    except endpoint_aws.ContainerError as error:
        raise EndpointError(f"{called} failed: {error}") from error


def _queued(endpoint: str, test: SmokeTest, declaration: Declaration, deadline: Deadline, called: str) -> bytes:
    """Ask through the queue, and wait for an answer: what is measured is the whole way."""
    uri = f"{declaration.input_prefix}{uuid.uuid4()}.json"
    endpoint_aws.put(uri, smoke.body(test))
    outcome = endpoint_aws.invoke_later(endpoint, uri)
    while (answer := endpoint_aws.read(outcome.answer, _MOST_BYTES)) is None:
        error = endpoint_aws.read(outcome.error) if outcome.error else None
        if error is not None:
            raise endpoint_aws.ContainerError(error.decode(errors="replace"))
        deadline.wait(f"{called} has no answer at {outcome.answer}", _POLL_SECONDS)
    endpoint_aws.delete(uri)  # the bucket forgets by itself what a run leaves that does not come to this
    return answer


def _is_awake(endpoint: str, test: SmokeTest) -> bool:
    if test.component:
        component = endpoint_aws.component(test.component)
        return component is not None and not component.moves and bool(component.copies)
    seen = endpoint_aws.endpoint(endpoint) if test.mode == "async" else None
    return seen is None or any(seen.instances.values())


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
