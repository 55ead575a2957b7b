"""The instances of EC2 that a group has: ministack's records, made, started, stopped and terminated.

The records are its own, so DescribeInstances shows them; a ``_market``, a ``_group`` and a ``CapacityReservationId``
beside what it knows say how they were bought.
"""

from __future__ import annotations

from ministack.services import ec2

from .. import patching
from ..clock import clock, iso
from .store import Record

_records = patching.original(ec2, "_instances")
_launch = patching.original(ec2, "_launch_instances_internal")
_terminate = patching.original(ec2, "_terminate_instances")
_tags = patching.original(ec2, "_tags")
_volumes = patching.original(ec2, "_volumes")
_xml = patching.original(ec2, "_instance_xml")
_subnets = patching.original(ec2, "_subnets")
_zone_id = patching.original(ec2, "_az_id_for_zone_name")
_DEFAULT_VPC = patching.original(ec2, "_DEFAULT_VPC_ID")

_RUNNING = {"Code": 16, "Name": "running"}
_PENDING = {"Code": 0, "Name": "pending"}
_STOPPED = {"Code": 80, "Name": "stopped"}


def install() -> None:
    patching.replace(ec2, "_instance_xml", _xml_with_its_market)


def _xml_with_its_market(record: Record) -> str:
    more = ""
    if record.get("_market") == "spot":
        more += "<instanceLifecycle>spot</instanceLifecycle>"
    elif record.get("_market") == "capacity-block":
        more += "<instanceLifecycle>capacity-block</instanceLifecycle>"
    if record.get("CapacityReservationId"):
        more += f"<capacityReservationId>{record['CapacityReservationId']}</capacityReservationId>"
    whole: str = _xml(record)
    return whole.removesuffix("</item>") + more + "</item>" if more else whole


def launch(
    *,
    image: str,
    instance_type: str,
    subnet: str,
    market: str,
    reservation: str | None,
    group: str,
    tags: dict[str, str],
    template: Record,
) -> str:
    """A new instance, pending; its id. ``template`` is the launch template's data."""
    interfaces = template.get("NetworkInterfaces") or [{}]
    (record,) = _launch(
        image_id=image,
        instance_type=instance_type,
        subnet_id=subnet,
        count=1,
        key_name=template.get("KeyName", ""),
        user_data=template.get("UserData", ""),
        sg_ids=template.get("SecurityGroupIds") or interfaces[0].get("Groups"),
        iam_profile=template.get("IamInstanceProfile"),
    )
    zone = zone_of(subnet)
    record["State"] = dict(_PENDING)
    record["LaunchTime"] = iso(clock.now())
    record["Placement"]["AvailabilityZone"] = zone
    record["_market"], record["_group"] = market, group
    if reservation:
        record["CapacityReservationId"] = reservation
    for mapping in record["BlockDeviceMappings"]:
        _volumes[mapping["Ebs"]["VolumeId"]]["AvailabilityZone"] = zone
    identifier: str = record["InstanceId"]
    _tags[identifier] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return identifier


def run(instance: str) -> None:
    _set(instance, _RUNNING)


def stop(instance: str) -> None:
    _set(instance, _STOPPED)


def _set(instance: str, state: Record) -> None:
    record = _records.get(instance)
    if record and record["State"]["Name"] != "terminated":
        record["State"] = dict(state)


def terminate(instance: str) -> None:
    """End it; what is gone already is not an error."""
    if instance in _records:
        _terminate({"InstanceId.1": [instance]})


def lives(instance: str) -> bool:
    record = _records.get(instance)
    return record is not None and record["State"]["Name"] in ("pending", "running")


def stopped(instance: str) -> bool:
    record = _records.get(instance)
    return record is not None and record["State"]["Name"] == "stopped"


def running() -> list[Record]:
    """EC2's records of this account and region that hold capacity."""
    return [record for record in _records.values() if record["State"]["Name"] in ("pending", "running")]


def scope_of(instance: str) -> tuple[str, str] | None:
    """The account and region that it is in."""
    return next(
        ((account, region) for account, region, identifier in _records.to_dict() if identifier == instance), None
    )


def zone_of(subnet: str) -> str:
    return str(_subnets.get(subnet, {}).get("AvailabilityZone", ""))


def default_subnets(zones: list[str]) -> list[str]:
    """The subnets of the default VPC in these zones, for a group that names no subnet."""
    return [
        identifier
        for identifier, subnet in _subnets.items()
        if subnet["VpcId"] == _DEFAULT_VPC and subnet["AvailabilityZone"] in zones
    ]


def zone_id(zone: str) -> str:
    return str(_zone_id(zone))
