"""Endpoints: the operations, and what SageMaker Runtime asks of them; ``lifecycle`` does the work."""

from __future__ import annotations

from typing import Any

from ..api import Response, ServiceError
from . import (
    asynchronous,
    capacity,
    components,
    description,
    faults,
    invocations,
    lifecycle,
    pools,
    refusals,
    scaling,
    store,
    working,
)
from .deployment import check_alarms
from .events import become
from .fleet import Fleet
from .lifecycle import serving_of
from .rollouts import Policy
from .store import Record
from .traffic import Serving


def create(request: Record) -> dict[str, Any]:
    name, config = request["EndpointName"], request["EndpointConfigName"]
    _check(config)
    store.refuse_taken(store.endpoints, "endpoint", name)
    arn = store.arn("endpoint", name)
    moment = store.moment()
    record = store.endpoints[name] = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointConfigName": config,
        "EndpointStatus": "Creating",
        "CreationTime": moment,
        "LastModifiedTime": moment,
    }
    store.tag(arn, request.get("Tags", []))
    become(record, "Creating")
    working.begin(f"endpoint-{name}", lifecycle.bring_up, record)
    return {"EndpointArn": arn}


def update(request: Record) -> dict[str, Any]:
    name, config = request["EndpointName"], request["EndpointConfigName"]
    record = store.find(store.endpoints, "endpoint", name)
    # "DeleteEndpoint is the only operation" left (API reference, EndpointStatus)
    if record["EndpointStatus"] in ("Failed", "UpdateRollbackFailed"):
        raise ServiceError(
            "ValidationException",
            f'Cannot update endpoint "{record["EndpointArn"]}": its status is {record["EndpointStatus"]}.',
        )
    _refuse_unless_in_service(record)
    configuration = _check(config)
    policy = _policy(request, record, configuration)
    refusals.check_policy(policy, configuration)
    check_alarms(policy)
    serving = _must_serve(record)
    refusals.check_change(name, serving.fleet, configuration)
    kept = _kept(request, serving.fleet)
    faults.begin_update(name, config)
    record["StartTime"] = store.moment()
    become(record, "Updating")
    working.begin(f"endpoint-{name}", lifecycle.replace, record, serving, config, policy, kept)
    return {"EndpointArn": record["EndpointArn"]}


def update_weights_and_capacities(request: Record) -> dict[str, Any]:
    record = store.find(store.endpoints, "endpoint", request["EndpointName"])
    _refuse_unless_in_service(record)
    serving = _must_serve(record)
    changes = request["DesiredWeightsAndCapacities"]
    for variant, wanted in refusals.check_sizes(serving.fleet, changes):
        if "DesiredInstanceCount" in wanted:
            variant.desired = wanted["DesiredInstanceCount"]
    become(record, "Updating")
    working.begin(f"endpoint-{record['EndpointName']}", lifecycle.scale, record, serving, changes)
    return {"EndpointArn": record["EndpointArn"]}


def describe(request: Record) -> dict[str, Any]:
    record = store.find(store.endpoints, "endpoint", request["EndpointName"])
    return description.of_endpoint(record, serving_of(record))


def delete(request: Record) -> dict[str, Any]:
    name = request["EndpointName"]
    record = store.find(store.endpoints, "endpoint", name)
    if record["EndpointStatus"] in ("Creating", "Updating", "RollingBack", "Deleting"):
        raise ServiceError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    components.refuse_deletion(name, record["EndpointArn"])
    scaling.forget_variants(name)
    become(record, "Deleting")
    working.begin(f"endpoint-{name}", lifecycle.remove, record)
    return {}


def list_all(request: Record) -> dict[str, Any]:
    found, token = store.page(list(store.endpoints.values()), request, name="EndpointName", status="EndpointStatus")
    shown = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    return {"Endpoints": [{key: record[key] for key in shown} for record in found]} | (
        {"NextToken": token} if token else {}
    )


def pids(record: Record) -> list[int]:
    """The processes that answer for the endpoint."""
    serving = serving_of(record)
    return serving.pids if serving else []


def sizes(record: Record) -> dict[str, dict[str, Any]]:
    """The variants in service: instances by type, how many are desired, and the weight."""
    serving = serving_of(record)
    return {
        variant.name: {"instances": dict(variant.types), "desired": variant.desired, "weight": variant.weight}
        for variant in (serving.fleet.all_variants if serving else [])
    }


def components_on(record: Record) -> dict[str, dict[str, Any]]:
    """The inference components on the endpoint: status, copies, and how many are desired."""
    return components.statuses(serving_of(record))


def invoke(name: str, headers: dict[str, str], body: bytes) -> Response:
    """InvokeEndpoint. Raises ``ServiceError``."""
    record = store.endpoints.get(name)
    return invocations.invoke(record, serving_of(record), name, headers, body)


def invoke_async(name: str, headers: dict[str, str], body: bytes) -> Response:
    """InvokeEndpointAsync. Raises ``ServiceError``."""
    record = store.endpoints.get(name)
    serving = serving_of(record)
    if record is None or serving is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {store.account()} not found.")
    return asynchronous.accept(record, serving, headers, body)


def _refuse_unless_in_service(record: Record) -> None:
    if record["EndpointStatus"] != "InService":
        raise ServiceError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')


def _check(config: str) -> Record:
    configuration = store.find(store.endpoint_configs, "endpoint-config", config)
    for variant in [*configuration["ProductionVariants"], *configuration.get("ShadowProductionVariants", [])]:
        for instance_type in pools.types(variant):
            capacity.check_quota(instance_type, usage="endpoint usage")
    return configuration


def _policy(request: Record, record: Record, configuration: Record) -> Policy:
    """The deployment configuration of an update; an endpoint on Inf1 has none ("Exclusions")."""
    policy = request.get("DeploymentConfig", {})
    if request.get("RetainDeploymentConfig") and not policy:
        policy = record.get("LastDeploymentConfig", {})
    types = [kind for variant in configuration["ProductionVariants"] for kind in pools.types(variant)]
    return {} if any(kind.startswith("ml.inf1.") for kind in types) else dict(policy)


def _kept(request: Record, fleet: Fleet) -> dict[str, tuple[int, float]]:
    """The counts and weights that an update takes over from the fleet in service, by name of variant."""
    if not request.get("RetainAllVariantProperties"):
        return {}
    excluded = {each["VariantPropertyType"] for each in request.get("ExcludeRetainedVariantProperties", [])}
    coming = store.endpoint_configs[request["EndpointConfigName"]]
    kept = {}
    for declared in [*coming["ProductionVariants"], *coming.get("ShadowProductionVariants", [])]:
        variant = fleet.find(declared["VariantName"])
        if variant is not None:
            kept[variant.name] = (
                declared["InitialInstanceCount"] if "DesiredInstanceCount" in excluded else variant.desired,
                declared.get("InitialVariantWeight", 1.0) if "DesiredWeight" in excluded else variant.weight,
            )
    return kept


def _must_serve(record: Record) -> Serving:
    """What is in service: an endpoint whose status is InService has something."""
    found = serving_of(record)
    assert found is not None
    return found
