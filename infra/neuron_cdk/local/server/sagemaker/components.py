"""Inference components: created on an endpoint's instances, scaled by copies, updated in batches, and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..api import ServiceError
from . import copies, description, faults, scaling, store, working
from .copies import Component
from .deployment import RolledBackError, Watch, check_alarms, size
from .hosts import HostVariant, Slot
from .replicas import DeploymentError
from .store import Record
from .traffic import Serving

_REASON = 1024  # the model's limit for FailureReason
_WHOLE = {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100}, "WaitIntervalInSeconds": 0}

_serving: dict[tuple[str, str], Serving] = {}
"""Endpoints that host components, by region and name."""
_components: dict[str, Component] = {}
"""By ARN."""
_saved: Callable[[], None]


def configure(saved: Callable[[], None]) -> None:
    """What to call after each change."""
    global _saved
    _saved = saved


def create(request: Record) -> dict[str, Any]:
    name, endpoint = request["InferenceComponentName"], request["EndpointName"]
    store.refuse_taken(store.components, "inference-component", name)
    record = store.find(store.endpoints, "endpoint", endpoint)
    serving = _serving.get((store.region(), endpoint))
    if record["EndpointStatus"] != "InService" or serving is None:
        raise ServiceError(
            "ValidationException", f'Endpoint "{record["EndpointArn"]}" hosts no inference components now.'
        )
    variant = request.get("VariantName") or serving.fleet.variants[0].name
    if serving.fleet.find(variant) is None:
        raise ServiceError("ValidationException", f'Could not find variant "{variant}".')
    several = request.get("Specifications") or [request.get("Specification")]
    for specification in several:
        _check(specification)
    wanted = request.get("RuntimeConfig", {}).get("CopyCount", 1)
    if wanted < 1:  # https://github.com/stdapi-ai/stdapi.ai/issues/43, measured 2026-08-27
        raise ServiceError("ValidationException", "Inference components copy count must be an integer larger than 0")
    arn = store.arn("inference-component", name)
    kept = {key: value for key, value in request.items() if key not in ("Tags", "RuntimeConfig")}
    record = store.components[name] = kept | {
        "VariantName": variant,
        "InferenceComponentArn": arn,
        "EndpointArn": record["EndpointArn"],
        "Desired": wanted,
        "InferenceComponentStatus": "Creating",
        "CreationTime": store.moment(),
        "LastModifiedTime": store.moment(),
    }
    store.tag(arn, request.get("Tags", []))
    component = _components[arn] = Component(record, serving)
    working.begin(f"component-{name}", _bring_up, component)
    return {"InferenceComponentArn": arn}


def describe(request: Record) -> dict[str, Any]:
    return description.of_component(*_found(request))


def list_all(request: Record) -> dict[str, Any]:
    there = [
        record
        for record in store.components.values()
        if request.get("EndpointNameEquals") in (None, record["EndpointName"])
        and request.get("VariantNameEquals") in (None, record["VariantName"])
    ]
    found, token = store.page(there, request, name="InferenceComponentName", status="InferenceComponentStatus")
    shown = (
        "CreationTime",
        "InferenceComponentArn",
        "InferenceComponentName",
        "EndpointArn",
        "EndpointName",
        "VariantName",
        "InferenceComponentStatus",
        "LastModifiedTime",
    )
    return {"InferenceComponents": [{key: record[key] for key in shown} for record in found]} | (
        {"NextToken": token} if token else {}
    )


def update_copies(request: Record) -> dict[str, Any]:
    record, component = _found(request)
    _refuse_unless_in_service(record)
    record["Desired"] = request["DesiredRuntimeConfig"]["CopyCount"]
    _become(record, "Updating")
    working.begin(f"component-{component.name}", _scale, component)
    return {"InferenceComponentArn": record["InferenceComponentArn"]}


def update(request: Record) -> dict[str, Any]:
    record, component = _found(request)
    _refuse_unless_in_service(record)
    coming = copies.specifications_of({"Specification": component.specifications[0]} | request)
    for specification in coming:
        _check(specification)
    policy = request.get("DeploymentConfig", {})
    check_alarms(policy)
    for specification in coming:
        faults.begin_update(component.name, specification.get("ModelName"))
    wanted = request.get("RuntimeConfig", {}).get("CopyCount", record["Desired"])
    _become(record, "Updating")
    working.begin(f"component-{component.name}", _replace, component, request, wanted, policy)
    return {"InferenceComponentArn": record["InferenceComponentArn"]}


def delete(request: Record) -> dict[str, Any]:
    record, component = _found(request)
    if record["InferenceComponentStatus"] in ("Creating", "Updating", "Deleting"):
        raise ServiceError("ValidationException", f'Cannot delete in-progress inference component "{component.name}".')
    scaling.forget_component(component.name)
    _become(record, "Deleting")
    working.begin(f"component-{component.name}", _remove, component)
    return {}


def find(endpoint: str, name: str) -> Component:
    """The component ``name`` for a request. Raises ``ValidationError`` when the endpoint has none of that name."""
    record = store.components.get(name)
    component = _components.get(record["InferenceComponentArn"]) if record else None
    if component is None or component.serving.name != endpoint:
        raise ServiceError("ValidationError", f"Inference Component {name} of endpoint {endpoint} not found.")
    return component


def statuses(serving: Serving | None) -> dict[str, dict[str, Any]]:
    """The components of an endpoint, for whoever asks what runs here."""
    return {
        component.name: {
            "status": component.record["InferenceComponentStatus"],
            "copies": component.count,
            "desired": component.record["Desired"],
        }
        for component in (of_serving(serving) if serving else [])
    }


def of_serving(serving: Serving) -> list[Component]:
    return [component for component in list(_components.values()) if component.serving is serving]


def attach(serving: Serving) -> None:
    """The endpoint is in service: components can be created on it."""
    if serving.fleet.hosts_components:
        _serving[store.region(), serving.name] = serving
        for variant in serving.fleet.variants:
            if isinstance(variant, HostVariant):
                for host in variant.hosts:
                    copies.release_when_idle(variant, host)


def detach(serving: Serving) -> None:
    _serving.pop((store.region(), serving.name), None)


def refuse_deletion(endpoint: str, arn: str) -> None:
    """Raise ``ValidationException`` while components are on the endpoint."""
    if any(record["EndpointName"] == endpoint for record in store.components.values()):
        raise ServiceError(
            "ValidationException",
            f'Cannot delete endpoint "{arn}" while it has inference components: delete them first.',
        )


def restart(serving: Serving) -> None:
    """Bring back the copies that the saved state says are desired."""
    for name, record in list(store.components.items()):
        if record["EndpointName"] != serving.name:
            continue
        if record["InferenceComponentStatus"] == "Deleting":
            store.components.pop(name)
            continue
        component = _components[record["InferenceComponentArn"]] = Component(record, serving)
        try:
            component.scale(record["Desired"])
            _become(record, "InService")
        except DeploymentError as error:
            _become(record, "Failed", reason=str(error))


def move(serving: Serving, leaving: HostVariant, coming: HostVariant, *, all_but: int) -> None:
    """Have the copies on all instances of ``leaving`` but so many start anew on ``coming``, then end those there."""
    with_copies = [host for host in leaving.hosts if host.slots]
    emptied = with_copies[: max(len(leaving.hosts) - all_but, 0)]
    for component in of_serving(serving):
        old = [slot for slot in component.slots if slot.host in emptied]
        component.grow(len(old), on=coming)
        component.shrink(old)


def _bring_up(component: Component) -> None:
    record = component.record
    try:
        component.scale(record["Desired"])
    except DeploymentError as error:
        component.shrink(list(component.slots))
        _become(record, "Failed", reason=str(error))
    else:
        _become(record, "InService")
    _saved()


def _scale(component: Component) -> None:
    record, reason = component.record, None
    try:
        component.scale(record["Desired"])
    except DeploymentError as error:
        reason = str(error)
        record["Desired"] = component.count
    _become(record, "InService", reason=reason)
    _saved()


def _replace(component: Component, request: Record, wanted: int, policy: dict[str, Any]) -> None:
    record, old, new = component.record, list(component.slots), list[Slot]()
    before, reason = component.specifications, None
    changed: Record = {key: request[key] for key in ("Specification", "Specifications") if key in request}
    try:
        if changed and copies.specifications_of(changed) != before:
            component.specifications = copies.specifications_of(changed)
            _roll(component, old, new, policy)
            record.pop("Specification", None)
            record.pop("Specifications", None)
            record.update(changed)
        component.scale(wanted)
        record["Desired"] = wanted
        if policy:
            record["LastDeploymentConfig"] = policy
    except (DeploymentError, RolledBackError) as error:
        reason = str(error)
        component.specifications = copies.specifications_of(record)
        if component.specifications == before:
            component.shrink([slot for slot in component.slots if slot in new])
        try:
            component.scale(record["Desired"])
        except DeploymentError as second:
            reason = f"{reason}; the roll-back failed: {second}"
    _become(record, "InService", reason=reason)
    _saved()


def _roll(component: Component, old: list[Slot], new: list[Slot], policy: dict[str, Any]) -> None:
    update = policy.get("RollingUpdatePolicy", _WHOLE)
    watch = Watch(policy)
    batch = size(update["MaximumBatchSize"], max(len(old), 1))
    for start in range(0, len(old), batch):
        leaving = old[start : start + batch]
        new.extend(component.grow(len(leaving)))
        watch.bake(update["WaitIntervalInSeconds"])
        component.shrink(leaving)


def _remove(component: Component) -> None:
    component.shrink(list(component.slots))
    arn = component.record["InferenceComponentArn"]
    _components.pop(arn, None)
    store.components.pop(component.name)
    store.forget_tags(arn)
    _saved()


def _become(record: Record, status: str, *, reason: str | None = None) -> None:
    record.pop("FailureReason", None)
    if reason:
        record["FailureReason"] = reason[:_REASON]
    record.update(InferenceComponentStatus=status, LastModifiedTime=store.moment())


def _found(request: Record) -> tuple[Record, Component]:
    record = store.find(store.components, "inference-component", request["InferenceComponentName"])
    return record, _components[record["InferenceComponentArn"]]


def _refuse_unless_in_service(record: Record) -> None:
    if record["InferenceComponentStatus"] != "InService":
        raise ServiceError(
            "ValidationException",
            f'Cannot update in-progress inference component "{record["InferenceComponentArn"]}".',
        )


def _check(specification: Record | None) -> None:
    if specification is None or ("ModelName" in specification) == ("Container" in specification):
        raise ServiceError("ValidationException", "Give the specification's ModelName or its Container.")
    if "BaseInferenceComponentName" in specification:
        raise ServiceError("ValidationException", "the embedded AWS has no adapters: BaseInferenceComponentName")
    if "ComputeResourceRequirements" not in specification:
        raise ServiceError("ValidationException", "ComputeResourceRequirements is required.")
    if "ModelName" in specification:
        store.find(store.models, "model", specification["ModelName"])
