"""What goes on behind an endpoint's operations: it is brought up, replaced, scaled, removed, and brought back.

Each runs in a thread of its own (``working.begin``), on the endpoint's record and what serves it.
"""

from __future__ import annotations

import contextvars
import logging
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from . import asynchronous, components, faults, replicas, rollouts, sampling, store, working
from .deployment import RolledBackError
from .events import become
from .fleet import Fleet
from .replicas import DeploymentError
from .rollouts import Policy
from .store import Record
from .traffic import Serving

logger = logging.getLogger("neuron_cdk.local")

_in_service: dict[str, Serving] = {}
"""By ARN."""
_folder: Path
_saved: Callable[[], None]


def configure(folder: Path, code: Path, saved: Callable[[], None]) -> None:
    """Where models are kept, where ``neuron_jobs`` lies, and what to call after each deployment."""
    global _folder, _saved
    _folder, _saved = folder, saved
    replicas.configure(code)
    components.configure(saved)


def serving_of(record: Record | None) -> Serving | None:
    """What answers for the endpoint; None before it came into service."""
    return _in_service.get(record["EndpointArn"]) if record else None


def bring_up(record: Record) -> None:
    """Start what a new endpoint's configuration says."""
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


def replace(record: Record, serving: Serving, config: str, policy: Policy, kept: dict[str, tuple[int, float]]) -> None:
    """Deploy ``config`` by ``policy``, with the sizes and weights ``kept`` of the fleet in service."""
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


def scale(record: Record, serving: Serving, wanted: list[Record]) -> None:
    """Give variants other sizes and weights. One that does not come to its size keeps what it has."""
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
            except Exception as error:
                _log_unless_expected(record, error)
                reason = str(error)
                variant.desired = variant.count
    _note(record, serving.fleet)
    become(record, "InService", reason=reason)
    _saved()


def _serve(record: Record, fleet: Fleet) -> None:
    serving = _in_service[record["EndpointArn"]] = Serving(record["EndpointName"], [fleet])
    _note(record, fleet)
    components.attach(serving)
    sampling.watch(serving)
    asynchronous.watch(serving)


def _note(record: Record, fleet: Fleet) -> None:
    """Remember the sizes and weights in service, for events and for a restart."""
    record["Desired"] = {variant.name: [variant.desired, variant.weight] for variant in fleet.all_variants}


def remove(record: Record) -> None:
    """End it, and forget it."""
    name = record["EndpointName"]
    serving = _in_service.pop(record["EndpointArn"], None)
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
        components.restart(_in_service[record["EndpointArn"]])
    except Exception as error:
        logger.exception("endpoint %s does not come back", name)
        become(record, "Failed", reason=str(error))
    else:
        record["EndpointStatus"] = "InService"
    finally:
        working.release()
