"""What stands before and behind an update of an endpoint (``docs/adr/0013-scaling-belongs-to-the-hook.md``).

Events:

- CloudFormation's request for ``Custom::NeuronEndpointChange`` (properties ``EndpointKey``, which is the endpoint's
  name, and ``Configuration``), before the endpoint is touched. ``Update`` deregisters the scalable targets that
  SageMaker would refuse it for, and waits until the endpoint takes an update. On the way back to the configuration that
  is in service it registers again what the last verified declaration says. ``Create`` and ``Delete`` do nothing.
- CloudFormation's request for ``Custom::NeuronEndpointInService`` (the same, ``EndpointName`` and ``Declaration``),
  behind endpoint and components. ``Create`` and ``Update`` compare what is in service with the declaration, run its
  smoke tests and the golden examples of its artifacts unless the very same was tested before, settle scaling and write
  the record. ``Delete`` deregisters all.
- EventBridge's ``SageMaker Endpoint State Change``: the endpoint is in service; what its record declares and is not
  registered is registered.

Each may come twice, and may be killed anywhere: called again it comes to the same end. What may pass is tried again
here while there is time, since CloudFormation waits for one answer.

:raises AnswerError: CloudFormation did not take the answer; Lambda calls again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from .. import aws, cloudformation, log, settings
from . import aws as endpoint_aws
from . import change, registration, scaling, tests, verification
from . import declaration as endpoint_declaration
from . import record as endpoint_record
from .deadline import Deadline, EndpointError
from .declaration import Declaration
from .record import Leaving, Record
from .scaling import Address
from .seen import Endpoint

SETTINGS = settings.load(settings.EndpointHook)
_CHANGE, _IN_SERVICE = "Custom::NeuronEndpointChange", "Custom::NeuronEndpointInService"
_ANSWER_SECONDS = 45  # for the answer, of the function's time
_PAUSES = (2, 5, 10, 20)
_MOST_CHARACTERS = 900  # of a reason: with its summary under 1 KB, which the console shows whole
_LOOKS = 5

Event = dict[str, Any]
Properties = Mapping[str, Any]
T = TypeVar("T")


def handler(event: Event, context: Any) -> None:
    left = context.get_remaining_time_in_millis() / 1000 if context else 900
    deadline = Deadline(time.monotonic() + left - _ANSWER_SECONDS)
    log.begin(event.get("RequestId") or event.get("id", ""))
    if "RequestType" in event:
        _stack(event, deadline)
    else:
        _event()


def _stack(event: Event, deadline: Deadline) -> None:
    request, properties = cloudformation.parse(event), event["ResourceProperties"]
    work = {_CHANGE: _change, _IN_SERVICE: _in_service}[event["ResourceType"]]
    try:
        data = _persistently(lambda: work(event, properties, deadline), deadline)
    except Exception as error:  # nobody else would answer, and CloudFormation would wait
        log.decision("refused", key=SETTINGS.endpoint_key, error=f"{type(error).__name__}: {error}")
        physical_id = request.physical_id or properties.get("EndpointKey", "")
        reason = str(error) or type(error).__name__
        if len(reason) > _MOST_CHARACTERS:
            reason = f"{reason[: _MOST_CHARACTERS - 1]}…"
        summary = f"The endpoint {properties.get('EndpointKey', '')} is not as asked:"
        cloudformation.deliver(request, cloudformation.failure(request, physical_id, summary, detail=reason))
        return
    cloudformation.deliver(request, cloudformation.success(request, properties["EndpointKey"], data))


def _persistently(work: Callable[[], T], deadline: Deadline) -> T:
    """Do it again from the start, which every part of it bears, after what may pass."""
    for pause in _PAUSES:
        try:
            return work()
        except Exception as error:
            if not aws.passes(error) or deadline.left() < pause:
                raise
            log.decision("again", key=SETTINGS.endpoint_key, error=str(error), pause_s=pause)
        time.sleep(pause)
    return work()


# -- Before ----------------------------------------------------------------------------------------------------------


def _change(event: Event, properties: Properties, deadline: Deadline) -> dict[str, str]:
    key, asked = properties["EndpointKey"], properties["Configuration"]
    if event["RequestType"] != "Update" or endpoint_aws.endpoint(key) is None:
        log.decision("nothing to change", key=key, kind=event["RequestType"])
        return {}
    endpoint, record = _settled(key, deadline), _read(key)
    if endpoint.configuration != asked:
        _make_way(key, endpoint, record, asked, deadline)
    elif record is not None and record.leaving is not None and record.configuration == asked:
        _come_back(key, record)
    else:
        log.decision("in service already", key=key, configuration=asked)
    return {}


def _come_back(key: str, record: Record) -> None:
    """The update that targets were deregistered for does not come: this is CloudFormation's way back."""
    restored = registration.restore(key, endpoint_declaration.parse(record.declaration))
    _write(key, replace(record, leaving=None))
    log.decision("restored", key=key, registered=restored)


def _make_way(key: str, endpoint: Endpoint, record: Record | None, asked: str, deadline: Deadline) -> None:
    leaving = _leaving(key, endpoint, asked)
    mark = record is not None and (record.leaving is not None or any(endpoint_aws.registered(leaving)))
    if record is not None and mark:  # before anything goes: an event must not bring it back
        _write(key, replace(record, leaving=Leaving(asked)))
    registration.remove(key, leaving, _declared(record))
    endpoint = _settled(key, deadline)
    if record is not None and mark:
        _write(key, replace(record, leaving=Leaving(asked, endpoint.modified)))
    log.decision("made way", key=key, configuration=asked, left=[at.id for at in leaving])


def _leaving(key: str, endpoint: Endpoint, asked: str) -> list[Address]:
    """The targets that SageMaker would refuse the update for, if they are registered."""
    serves = endpoint_aws.configuration(endpoint.configuration)
    comes = endpoint_aws.configuration(asked)
    if comes is None:
        raise EndpointError(f"there is no configuration {asked}: deploy again")
    # Of a configuration that somebody deleted nothing is known: any of its variants may be one that changes.
    names = change.leaving(serves, comes) if serves is not None else tuple(endpoint.instances)
    return [scaling.variant(key, name) for name in names]


def _settled(key: str, deadline: Deadline) -> Endpoint:
    """The endpoint once nothing is under way: SageMaker takes no update before."""
    while True:
        endpoint = endpoint_aws.endpoint(key)
        if endpoint is None:
            raise EndpointError(f"there is no endpoint {key}: somebody deleted it")
        if not endpoint.moves:
            return endpoint
        deadline.wait(f"endpoint {key} is still {endpoint.status}: deploy again when it is InService")


# -- Behind ----------------------------------------------------------------------------------------------------------


def _in_service(event: Event, properties: Properties, deadline: Deadline) -> dict[str, str]:
    key, name = properties["EndpointKey"], properties["EndpointName"]
    record = _read(key)
    before = _declared(record)
    if event["RequestType"] == "Delete":
        _delete(key, name, [*before, *_readable(properties.get("Declaration", ""))])
        return {}
    asked, declaration = properties["Configuration"], endpoint_declaration.parse(properties["Declaration"])
    older = event.get("OldResourceProperties", {}).get("Declaration", "")
    endpoint = _settled(name, deadline)
    images = _verified(endpoint, declaration, asked, record, deadline)
    measured: dict[str, float] = {}
    if record is None or record.configuration != asked or not _tested(before, declaration):
        measured = tests.run(name, declaration, deadline)
    registration.settle(name, declaration, [*before, *_readable(older)], endpoint.instances)
    _write(key, Record(name, asked, properties["Declaration"], images))
    log.decision("in service", key=key, configuration=asked, images=images, measured_ms=measured)
    return {
        "Configuration": asked,
        "Measured": ", ".join(f"{what}: {took:.0f} ms" for what, took in measured.items())[:_MOST_CHARACTERS],
    }


def _tested(before: list[Declaration], now: Declaration) -> bool:
    """Whether the same was asked the same questions: on the way back an old version must not fail again."""
    return any(
        (one.variants, one.components, one.smoke_tests) == (now.variants, now.components, now.smoke_tests)
        for one in before
    )


def _declared(record: Record | None) -> list[Declaration]:
    return _readable(record.declaration) if record else []


def _readable(text: str) -> list[Declaration]:
    """An older declaration, for what it left behind; none where it cannot be read."""
    try:
        return [endpoint_declaration.parse(text)]
    except endpoint_declaration.DeclarationError:
        return []


def _verified(
    endpoint: Endpoint, declaration: Declaration, asked: str, record: Record | None, deadline: Deadline
) -> dict[str, list[str]]:
    """The images that run, by digest.

    :raises EndpointError: when what is in service is not what was asked for.
    """
    if problem := verification.endpoint_problem(endpoint, asked, record):
        raise EndpointError(problem)
    components = {}
    for one in declaration.components:
        while (seen := endpoint_aws.component(one.name)) is not None and seen.moves:
            deadline.wait(f"component {one.name} is still {seen.status}: look at its containers' logs")
        if seen is not None:
            components[one.name] = seen
    names = [pool.model for variant in declaration.variants for pool in variant.pools]
    names += [one.model for one in declaration.components]
    problems = verification.problems(
        declaration,
        endpoint,
        endpoint_aws.configuration(asked) or {},
        endpoint_aws.models(name for name in names if name),
        components,
    )
    if problems:
        raise EndpointError("; ".join(problems))
    return verification.digests(endpoint, components)


def _delete(key: str, name: str, before: list[Declaration]) -> None:
    # The record first: an event that comes meanwhile finds nothing to register.
    aws.delete_item(endpoint_record.delete(SETTINGS.registry_table, key))
    endpoint = endpoint_aws.endpoint(name)
    registration.settle(name, None, before, endpoint.instances if endpoint else ())
    log.decision("deleted", key=key)


# -- In service again ------------------------------------------------------------------------------------------------


def _event() -> None:
    """Until the record is what was acted on: a deploy may write meanwhile, and what it wrote counts."""
    key, restored = SETTINGS.endpoint_key, []
    record = _read(key)
    for _ in range(_LOOKS):
        endpoint = endpoint_aws.endpoint(record.endpoint) if record else None
        if record is None or endpoint is None or not change.may_register(record, endpoint):
            break
        declaration = endpoint_declaration.parse(record.declaration)
        restored = registration.restore(record.endpoint, declaration)
        after = _read(key)
        if after == record:
            break
        _take_back(record.endpoint, endpoint, declaration, after)
        record = after
    log.decision("restored" if restored else "nothing to restore", key=key, registered=restored)


def _take_back(name: str, endpoint: Endpoint, declaration: Declaration, after: Record | None) -> None:
    if after is not None and after.leaving is not None:
        registration.remove(name, _leaving(name, endpoint, after.leaving.configuration), [declaration])
    else:
        registration.settle(name, _declared(after)[0] if after else None, [declaration], ())


# -- The record ------------------------------------------------------------------------------------------------------


def _read(key: str) -> Record | None:
    return endpoint_record.read(aws.get_item(endpoint_record.get(SETTINGS.registry_table, key)))


def _write(key: str, record: Record) -> None:
    aws.update_item(endpoint_record.put(SETTINGS.registry_table, key, record))
