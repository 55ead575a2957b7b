"""What EC2 takes back: spot instances, after a warning, and the instances of a capacity block that ends."""

from __future__ import annotations

import copy
from typing import Any

from ministack.core.responses import AccountRegionScopedDict

from ..api import ServiceError
from ..clock import clock, iso
from ..sagemaker.store import speak_for
from . import events, instances, reservations, store
from .store import Record
from .turn import Turn

_NOTICE_SECONDS = 120
_BLOCK_WARNING_SECONDS = 40 * 60
_BLOCK_WARNING = "Capacity Block Expiration Warning"  # once "Capacity Block Reservation Expiration Warning"

_pending = AccountRegionScopedDict()
"""Instance to the moment at which EC2 takes it."""
_warned = AccountRegionScopedDict()
"""Capacity blocks whose end was announced, to the end that was."""


def interrupt(instance: str) -> None:
    """Warn that EC2 takes the spot instance in two minutes. Raises ``ServiceError`` for one that is not spot."""
    _speak_for_spot(instance)
    _pending[instance] = clock.now() + _NOTICE_SECONDS
    detail = {"instance-id": instance, "instance-action": "terminate"}
    events.send("aws.ec2", "EC2 Spot Instance Interruption Warning", detail, [events.instance_arn(instance)])


def recommend_rebalance(instance: str) -> None:
    """Tell that the spot instance is at elevated risk; a group that rebalances replaces it ahead of time."""
    _speak_for_spot(instance)
    detail = {"instance-id": instance}
    events.send("aws.ec2", "EC2 Instance Rebalance Recommendation", detail, [events.instance_arn(instance)])
    group = store.owner_of(instance)
    if group and group.get("CapacityRebalance") and "_leave" not in group["_instances"][instance]:
        cause = "an instance was taken out of service in response to an EC2 instance rebalance recommendation."
        group["_instances"][instance]["_leave"] = {"cause": cause, "ahead": True}


def step(turn: Turn) -> None:
    for (account, region, instance), moment in list(_pending.all_items()):
        if turn.due(moment):
            speak_for(account, region)
            _pending.pop(instance)
            instances.terminate(instance)
            turn.changed = True
    for (account, region, _), reservation in reservations.everywhere():
        if reservation["ReservationType"] == "capacity-block":
            speak_for(account, region)
            _end_block(reservation, turn)


def _end_block(reservation: Record, turn: Turn) -> None:
    """The warning 40 minutes before a block's end; from 30 minutes before on EC2 terminates what runs in it."""
    identifier, end = reservation["CapacityReservationId"], reservation["EndDate"]
    if _warned.get(identifier) != end and turn.due(end - _BLOCK_WARNING_SECONDS):
        _warned[identifier] = end
        detail = {"capacity-reservation-id": identifier, "end-date": iso(end)}
        events.send("aws.ec2", _BLOCK_WARNING, detail, [reservations.arn(identifier)])
        turn.changed = True
    if turn.due(end - reservations.CLOSES_BEFORE):
        for record in instances.running():
            if record.get("CapacityReservationId") == identifier:
                instances.terminate(record["InstanceId"])
                turn.changed = True


def _speak_for_spot(instance: str) -> None:
    """Be in the account and region of the spot instance. Raises ``ServiceError`` when it is none."""
    scope = instances.scope_of(instance)
    if scope:
        speak_for(*scope)
    if not any(each["InstanceId"] == instance and each.get("_market") == "spot" for each in instances.running()):
        raise ServiceError("InvalidInstanceID", f"{instance} is no running spot instance")


def get_state() -> dict[str, Any]:
    return {"pending": copy.deepcopy(_pending), "warned": copy.deepcopy(_warned)}


def load_persisted_state(saved: dict[str, Any]) -> None:
    _pending.update(saved.get("pending", {}))
    _warned.update(saved.get("warned", {}))
