"""Endpoints: created, updated by a rollout, scaled, described and deleted; each request goes to what is in service."""

from __future__ import annotations

import contextvars
import logging
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..api import Response, ServiceError
from . import (
    alarms,
    asynchronous,
    capacity,
    components,
    description,
    faults,
    invocations,
    pools,
    refusals,
    replicas,
    rollouts,
    sampling,
    scaling,
    store,
    working,
)
from .events import become
from .fleet import Fleet
from .replicas import DeploymentError
from .rollouts import Policy, RolledBackError
from .store import Record
from .traffic import Serving

logger = logging.getLogger("neuron_cdk.local")

_serving: dict[str, Serving] = {}
"""By ARN."""
_folder: Path
_saved: Callable[[], None]
_RETAINED = {"DesiredInstanceCount": 0, "DesiredWeight": 1}


def configure(folder: Path, code: Path, saved: Callable[[], None]) -> None:
    """Where models are kept, where ``neuron_jobs`` lies, and what to call after each deployment."""
    global _folder, _saved
    _folder, _saved = folder, saved
    replicas.configure(code)
    components.configure(saved)


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
    working.begin(f"endpoint-{name}", _bring_up, record)
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
    alarms.check(policy)
    serving = _serving[record["EndpointArn"]]
    refusals.check_change(name, serving.fleet, configuration)
    kept = _kept(request, serving.fleet)
    faults.begin_update(name, config)
    record["StartTime"] = store.moment()
    become(record, "Updating")
    working.begin(f"endpoint-{name}", _replace, record, serving, config, policy, kept)
    return {"EndpointArn": record["EndpointArn"]}


def update_weights_and_capacities(request: Record) -> dict[str, Any]:
    record = store.find(store.endpoints, "endpoint", request["EndpointName"])
    _refuse_unless_in_service(record)
    serving = _serving[record["EndpointArn"]]
    asynchronous_one = "AsyncInferenceConfig" in serving.fleet.configuration
    for wanted in request["DesiredWeightsAndCapacities"]:
        variant = serving.fleet.find(wanted["VariantName"])
        if variant is None:
            raise ServiceError("ValidationException", f'Could not find variant "{wanted["VariantName"]}".')
        if wanted.get("DesiredInstanceCount") == 0 and not asynchronous_one:
            raise ServiceError("ValidationException", "DesiredInstanceCount must be at least 1 for this endpoint.")
        if variant.hosts_components and getattr(variant, "managed", False) and "DesiredInstanceCount" in wanted:
            raise ServiceError("ValidationException", "SageMaker manages the instance count of this variant.")
    become(record, "Updating")
    working.begin(f"endpoint-{record['EndpointName']}", _scale, record, serving, request["DesiredWeightsAndCapacities"])
    return {"EndpointArn": record["EndpointArn"]}


def describe(request: Record) -> dict[str, Any]:
    record = store.find(store.endpoints, "endpoint", request["EndpointName"])
    return description.of_endpoint(record, _serving.get(record["EndpointArn"]))


def delete(request: Record) -> dict[str, Any]:
    name = request["EndpointName"]
    record = store.find(store.endpoints, "endpoint", name)
    if record["EndpointStatus"] in ("Creating", "Updating", "RollingBack", "Deleting"):
        raise ServiceError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    components.refuse_deletion(name, record["EndpointArn"])
    scaling.forget_variants(name)
    become(record, "Deleting")
    working.begin(f"endpoint-{name}", _remove, record)
    return {}


def list_all(request: Record) -> dict[str, Any]:
    found, token = store.page(list(store.endpoints.values()), request, name="EndpointName", status="EndpointStatus")
    shown = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    return {"Endpoints": [{key: record[key] for key in shown} for record in found]} | (
        {"NextToken": token} if token else {}
    )


def pids(arn: str) -> list[int]:
    """The processes that answer for the endpoint."""
    serving = _serving.get(arn)
    return serving.pids if serving else []


def sizes(arn: str) -> dict[str, dict[str, Any]]:
    """The variants in service: instances by type, how many are desired, and the weight."""
    serving = _serving.get(arn)
    return {
        variant.name: {"instances": dict(variant.types), "desired": variant.desired, "weight": variant.weight}
        for variant in (serving.fleet.all_variants if serving else [])
    }


def invoke(name: str, headers: dict[str, str], body: bytes) -> Response:
    """InvokeEndpoint. Raises ``ServiceError``."""
    record = store.endpoints.get(name)
    return invocations.invoke(record, _serving.get(record["EndpointArn"]) if record else None, name, headers, body)


def invoke_async(name: str, headers: dict[str, str], body: bytes) -> Response:
    """InvokeEndpointAsync. Raises ``ServiceError``."""
    record = store.endpoints.get(name)
    serving = _serving.get(record["EndpointArn"]) if record else None
    if record is None or serving is None:
        raise ServiceError("ValidationError", f"Endpoint {name} of account {store.account()} not found.")
    return asynchronous.accept(record, serving, headers, body)


def restart() -> None:
    """Start again what the saved state says is in service, from the files it left; an update under way is given up.

    Runs in a thread of its own, before anybody is told that the server is ready.
    """
    kept = {record["Deployment"] for record in store.endpoints.all_values() if "Deployment" in record}
    for leftover in _folder.glob("*"):
        if leftover.name not in kept:
            shutil.rmtree(leftover, ignore_errors=True)
    for (account, region, name), record in store.endpoints.all_items():
        contextvars.copy_context().run(_restart_one, account, region, name, record)


def _restart_one(account: str, region: str, name: str, record: Record) -> None:
    store.speak_for(account, region)
    if "Deployment" not in record:  # never came into service
        if record["EndpointStatus"] == "Deleting":
            store.endpoints.pop(name)
        else:
            become(record, "Failed", reason="the embedded AWS ended while the endpoint was created")
        return
    working.hold()
    try:
        fleet = Fleet(name, record["EndpointConfigName"], _folder / record["Deployment"])
        fleet.retain({variant: (count, weight) for variant, (count, weight) in record.get("Desired", {}).items()})
        fleet.start()
        _serve(record, fleet)
        components.restart(_serving[record["EndpointArn"]])
    except Exception as error:
        logger.exception("endpoint %s does not come back", name)
        become(record, "Failed", reason=str(error))
    else:
        record["EndpointStatus"] = "InService"
    finally:
        working.release()


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


def _bring_up(record: Record) -> None:
    deployment = uuid.uuid4().hex
    try:
        fleet = Fleet(record["EndpointName"], record["EndpointConfigName"], _folder / deployment)
        fleet.start()
    except Exception as error:
        _log_unless_expected(record, error)
        become(record, "Failed", reason=str(error))
    else:
        record["Deployment"] = deployment
        _serve(record, fleet)
        become(record, "InService")
    _saved()


def _replace(record: Record, serving: Serving, config: str, policy: Policy, kept: dict[str, tuple[int, float]]) -> None:
    before = rollouts.sizes(serving.fleet)
    deployment = uuid.uuid4().hex
    try:
        if faults.rolls_back_silently(record["EndpointName"]):
            become(record, "InService")
            return
        coming = Fleet(record["EndpointName"], config, _folder / deployment)
        coming.retain(kept)
        rollouts.shift(serving, coming, policy)
    except Exception as error:
        _log_unless_expected(record, error)
        _roll_back(record, serving, before, str(error))
    else:
        record.update(EndpointConfigName=config, Deployment=deployment)
        if policy:
            record["LastDeploymentConfig"] = policy
        _note(record, coming)
        become(record, "InService")
    finally:
        _saved()


def _roll_back(record: Record, serving: Serving, sizes: dict[str, int], reason: str) -> None:
    # A deployment that fails leaves the fleet that serves in service.
    become(record, "RollingBack", reason=reason)
    try:
        rollouts.back(serving, sizes)
    except DeploymentError as error:
        become(record, "UpdateRollbackFailed", reason=f"{reason}; the roll-back failed: {error}")
    else:
        become(record, "InService", reason=reason)


def _scale(record: Record, serving: Serving, wanted: list[Record]) -> None:
    reason = None
    for each in wanted:
        variant = serving.fleet.find(each["VariantName"])
        if variant is None:  # it was there when the request was accepted
            continue
        if "DesiredWeight" in each:
            variant.weight = variant.desired_weight = each["DesiredWeight"]
        if "DesiredInstanceCount" in each:
            variant.desired = each["DesiredInstanceCount"]
            try:
                variant.scale(variant.desired)
            except DeploymentError as error:
                reason = str(error)
                variant.desired = variant.count
    _note(record, serving.fleet)
    become(record, "InService", reason=reason)
    _saved()


def _serve(record: Record, fleet: Fleet) -> None:
    serving = _serving[record["EndpointArn"]] = Serving(record["EndpointName"], [fleet])
    _note(record, fleet)
    components.attach(serving)
    sampling.watch(serving)
    asynchronous.watch(serving)


def _note(record: Record, fleet: Fleet) -> None:
    """Remember the sizes and weights in service, for events and for a restart."""
    record["Desired"] = {variant.name: [variant.desired, variant.weight] for variant in fleet.all_variants}


def _remove(record: Record) -> None:
    name = record["EndpointName"]
    serving = _serving.pop(record["EndpointArn"], None)
    if serving:
        sampling.forget(serving)
        asynchronous.forget(serving)
        components.detach(serving)
        for fleet in serving.fleets:
            fleet.stop()
    store.endpoints.pop(name)
    store.forget_tags(record["EndpointArn"])
    _saved()


def _log_unless_expected(record: Record, error: Exception) -> None:
    if not isinstance(error, DeploymentError | RolledBackError):
        logger.error("endpoint %s", record["EndpointName"], exc_info=error)
