"""EC2 types: addresses, NAT gateways, placement groups, flow logs, single security group rules; and subnets by zone id."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from ministack.core.responses import get_region
from ministack.services import ec2
from ministack.services.cloudformation import provisioners

from .. import patching
from .types import Created, NotStabilized, Properties, ResourceType

_actions = patching.original(ec2, "_ACTION_MAP")
_zone_prefix = patching.original(ec2, "_az_id_prefix")
_physical_name = patching.original(provisioners, "_physical_name")
_groups = patching.original(ec2, "_security_groups")
_permissions = patching.original(provisioners, "_ec2_sg_permissions")
_rule_id = patching.original(ec2, "_sg_rule_id")
_same_rule = patching.original(ec2, "_rules_match")
_apply_tags = patching.original(provisioners, "_ec2_apply_tags")
_placement_groups = patching.original(ec2, "_placement_groups")


def subnet_zone(properties: Properties) -> str:
    """The zone a subnet goes to. Zone ids are counted here: az1 is the zone with letter a."""
    zone_id = properties.get("AvailabilityZoneId")
    if properties.get("AvailabilityZone"):
        return str(properties["AvailabilityZone"])
    if not zone_id:
        return f"{get_region()}a"
    matched = re.fullmatch(rf"{_zone_prefix(get_region())}-az([1-9])", zone_id)
    if not matched:
        raise NotStabilized(f"Value ({zone_id}) for parameter availabilityZoneId is invalid in {get_region()}")
    return f"{get_region()}{chr(ord('a') + int(matched[1]) - 1)}"


def _call(action: str, **parameters: str) -> Callable[[str], str]:
    """Run an EC2 action in process; the result finds an element of the answer by name."""
    status, _, body = _actions[action]({name: [value] for name, value in parameters.items()})
    # ministack's own answer, not a stranger's document.
    answer = ElementTree.fromstring(body)  # noqa: S314

    def element(name: str) -> str:
        found = next((item for item in answer.iter() if item.tag.rpartition("}")[2] == name), None)
        return (found.text or "") if found is not None else ""

    if status >= 400:
        raise NotStabilized(element("Message"))
    return element


def _ignoring_absence(action: str, name: str, *, unless: str) -> Callable[[str, Properties], None]:
    def delete(physical_id: str, properties: Properties) -> None:
        try:
            _call(action, **{name: physical_id})
        except NotStabilized as error:
            if unless not in str(error):
                raise

    return delete


def _retag(attributes: Callable[[str], dict[str, Any]]) -> Callable[[str, Properties, Properties, str], Created]:
    """An update of a type whose only changeable property is its tags."""

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        _apply_tags(physical_id, new, old)
        return physical_id, attributes(physical_id)

    return update


def _create_address(logical_id: str, properties: Properties, stack: str) -> Created:
    made = _call("AllocateAddress", Domain="vpc")
    _apply_tags(made("allocationId"), properties)
    return made("publicIp"), {"AllocationId": made("allocationId"), "PublicIp": made("publicIp")}


def _address(public_ip: str) -> str | None:
    addresses = patching.original(ec2, "_addresses")
    return next((key for key, address in addresses.items() if address["PublicIp"] == public_ip), None)


def _delete_address(physical_id: str, properties: Properties) -> None:
    allocation = _address(physical_id)
    if allocation:
        _call("ReleaseAddress", AllocationId=allocation)


def _update_address(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
    allocation = _address(physical_id) or ""
    _apply_tags(allocation, new, old)
    return physical_id, {"AllocationId": allocation, "PublicIp": physical_id}


def _create_nat_gateway(logical_id: str, properties: Properties, stack: str) -> Created:
    made = _call(
        "CreateNatGateway",
        SubnetId=properties["SubnetId"],
        AllocationId=properties.get("AllocationId", ""),
        ConnectivityType=properties.get("ConnectivityType", "public"),
    )
    _apply_tags(made("natGatewayId"), properties)
    return made("natGatewayId"), {"NatGatewayId": made("natGatewayId")}


def _create_placement_group(logical_id: str, properties: Properties, stack: str) -> Created:
    name = _physical_name(stack, logical_id, max_len=255)
    count = {"PartitionCount": str(properties["PartitionCount"])} if properties.get("PartitionCount") else {}
    _call("CreatePlacementGroup", GroupName=name, Strategy=properties.get("Strategy", "cluster"), **count)
    _apply_tags(_placement_groups[name]["GroupId"], properties)
    return name, {"GroupName": name}


def _update_placement_group(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
    _apply_tags(_placement_groups[physical_id]["GroupId"], new, old)
    return physical_id, {"GroupName": physical_id}


def _create_flow_log(logical_id: str, properties: Properties, stack: str) -> Created:
    made = _call(
        "CreateFlowLogs",
        **{"ResourceId.1": properties["ResourceId"]},
        ResourceType=properties["ResourceType"],
        TrafficType=properties.get("TrafficType", "ALL"),
        LogDestinationType=properties.get("LogDestinationType", "cloud-watch-logs"),
        LogDestination=properties.get("LogDestination", ""),
        LogGroupName=properties.get("LogGroupName", ""),
    )
    identifier = made("item")
    _apply_tags(identifier, properties)
    return identifier, {"Id": identifier}


def _delete_flow_log(physical_id: str, properties: Properties) -> None:
    _call("DeleteFlowLogs", **{"FlowLogId.1": physical_id})


def _rule(side: str) -> ResourceType:
    """``AWS::EC2::SecurityGroup{Ingress,Egress}``: one rule of a group that is declared elsewhere."""
    egress = side == "IpPermissionsEgress"

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        group = _groups.get(properties["GroupId"])
        if group is None:
            raise NotStabilized(f"The security group '{properties['GroupId']}' does not exist")
        (permission,) = _permissions([properties])
        if any(_same_rule(permission, present) for present in group[side]):
            raise NotStabilized("the specified rule already exists in the security group")
        group[side].append(permission)
        identifier: str = _rule_id(properties["GroupId"], egress, permission)
        return identifier, {"Id": identifier}

    def delete(physical_id: str, properties: Properties) -> None:
        group = _groups.get(properties["GroupId"])
        if group is not None:
            (permission,) = _permissions([properties])
            group[side] = [present for present in group[side] if not _same_rule(permission, present)]

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        """Only the description can change in place."""
        delete(physical_id, old)
        return create("", new, stack)

    ends = ("CidrIp", "CidrIpv6", "FromPort", "ToPort", "IpProtocol", "GroupId", "GroupName")
    peers = tuple(
        f"{kind}{peer}"
        for kind in ("Source", "Destination")
        for peer in ("SecurityGroupId", "SecurityGroupName", "PrefixListId")
    )
    return ResourceType(create=create, delete=delete, update=update, replaced_by=ends + peers)


TYPES = {
    "AWS::EC2::EIP": ResourceType(
        create=_create_address,
        delete=_delete_address,
        update=_update_address,
        replaced_by=("Domain", "NetworkBorderGroup", "TransferAddress"),
        tagged=True,
    ),
    "AWS::EC2::NatGateway": ResourceType(
        create=_create_nat_gateway,
        delete=_ignoring_absence("DeleteNatGateway", "NatGatewayId", unless="not found"),
        update=_retag(lambda identifier: {"NatGatewayId": identifier}),
        replaced_by=("SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress", "VpcId"),
        tagged=True,
    ),
    "AWS::EC2::PlacementGroup": ResourceType(
        create=_create_placement_group,
        delete=_ignoring_absence("DeletePlacementGroup", "GroupName", unless="unknown"),
        update=_update_placement_group,
        replaced_by=("Strategy", "PartitionCount", "SpreadLevel"),
        tagged=True,
    ),
    "AWS::EC2::FlowLog": ResourceType(
        create=_create_flow_log,
        delete=_delete_flow_log,
        update=_retag(lambda identifier: {"Id": identifier}),
        replaced_by=(
            "ResourceId",
            "ResourceType",
            "TrafficType",
            "LogDestination",
            "LogDestinationType",
            "LogGroupName",
            "LogFormat",
            "DeliverLogsPermissionArn",
            "DeliverCrossAccountRole",
            "MaxAggregationInterval",
            "DestinationOptions",
        ),
        tagged=True,
    ),  # fmt: skip
    "AWS::EC2::SecurityGroupIngress": _rule("IpPermissions"),
    "AWS::EC2::SecurityGroupEgress": _rule("IpPermissionsEgress"),
}
