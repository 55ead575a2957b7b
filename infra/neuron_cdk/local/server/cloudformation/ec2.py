"""EC2 types: addresses, NAT gateways, placement groups, flow logs, security group rules; and subnets by zone id."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

from ministack.core.responses import get_region
from ministack.services import ec2
from ministack.services.cloudformation import provisioners

from .. import patching
from .types import Created, NotStabilizedError, Properties, Resource, ResourceType

_actions = patching.original(ec2, "_ACTION_MAP")
_zone_prefix = patching.original(ec2, "_az_id_prefix")
_addresses = patching.original(ec2, "_addresses")
_groups = patching.original(ec2, "_security_groups")
_placement_groups = patching.original(ec2, "_placement_groups")
_rule_id = patching.original(ec2, "_sg_rule_id")
_same_rule = patching.original(ec2, "_rules_match")
_physical_name = patching.original(provisioners, "_physical_name")
_permissions = patching.original(provisioners, "_ec2_sg_permissions")
_apply_tags = patching.original(provisioners, "_ec2_apply_tags")


def subnet_zone(properties: Properties) -> str:
    """The zone a subnet goes to. Zone ids are counted here: az1 is the zone with letter a."""
    if properties.get("AvailabilityZone"):
        return str(properties["AvailabilityZone"])
    zone_id = properties.get("AvailabilityZoneId")
    if not zone_id:
        return f"{get_region()}a"
    matched = re.fullmatch(rf"{_zone_prefix(get_region())}-az([1-9])", zone_id)
    if not matched:
        raise NotStabilizedError(f"Value ({zone_id}) for parameter availabilityZoneId is invalid in {get_region()}")
    return f"{get_region()}{chr(ord('a') + int(matched[1]) - 1)}"


def _call(action: str, **parameters: str) -> Callable[[str], str]:
    """Run an EC2 action in process; the result finds an element of the answer by name."""
    status, _, body = _actions[action]({name: [value] for name, value in parameters.items()})
    answer = ElementTree.fromstring(body)  # noqa: S314 - made by ministack in this process

    def element(name: str) -> str:
        found = next((item for item in answer.iter() if item.tag.rpartition("}")[2] == name), None)
        return (found.text or "") if found is not None else ""

    if status >= 400:
        raise NotStabilizedError(element("Message"))
    return element


def _retag(attribute: str) -> Callable[[Resource], Created]:
    """The update of a type of which only the tags change in place, and whose id is its ``attribute``."""

    def update(resource: Resource) -> Created:
        _apply_tags(resource.physical_id, resource.properties, resource.previous)
        return resource.physical_id, {attribute: resource.physical_id}

    return update


def _create_address(resource: Resource) -> Created:
    made = _call("AllocateAddress", Domain="vpc")
    _apply_tags(made("allocationId"), resource.properties)
    return made("publicIp"), {"AllocationId": made("allocationId"), "PublicIp": made("publicIp")}


def _update_address(resource: Resource) -> Created:
    allocation = _allocation(resource)
    _apply_tags(allocation, resource.properties, resource.previous)
    return resource.physical_id, {"AllocationId": allocation, "PublicIp": resource.physical_id}


def _delete_address(resource: Resource) -> None:
    allocation = _allocation(resource)
    if allocation:
        _call("ReleaseAddress", AllocationId=allocation)


def _allocation(resource: Resource) -> str | None:
    return next((key for key, address in _addresses.items() if address["PublicIp"] == resource.physical_id), None)


def _create_nat_gateway(resource: Resource) -> Created:
    made = _call(
        "CreateNatGateway",
        SubnetId=resource.properties["SubnetId"],
        AllocationId=resource.properties.get("AllocationId", ""),
        ConnectivityType=resource.properties.get("ConnectivityType", "public"),
    )
    _apply_tags(made("natGatewayId"), resource.properties)
    return made("natGatewayId"), {"NatGatewayId": made("natGatewayId")}


def _delete_nat_gateway(resource: Resource) -> None:
    try:
        _call("DeleteNatGateway", NatGatewayId=resource.physical_id)
    except NotStabilizedError as error:
        if "not found" not in str(error):
            raise


def _create_placement_group(resource: Resource) -> Created:
    name = _physical_name(resource.stack, resource.logical_id, max_len=255)
    count = resource.properties.get("PartitionCount")
    _call(
        "CreatePlacementGroup",
        GroupName=name,
        Strategy=resource.properties.get("Strategy", "cluster"),
        **({"PartitionCount": str(count)} if count else {}),
    )
    _apply_tags(_placement_groups[name]["GroupId"], resource.properties)
    return name, {"GroupName": name}


def _update_placement_group(resource: Resource) -> Created:
    group = _placement_groups[resource.physical_id]
    _apply_tags(group["GroupId"], resource.properties, resource.previous)
    return resource.physical_id, {"GroupName": resource.physical_id}


def _delete_placement_group(resource: Resource) -> None:
    if resource.physical_id in _placement_groups:
        _call("DeletePlacementGroup", GroupName=resource.physical_id)


def _create_flow_log(resource: Resource) -> Created:
    properties = resource.properties
    made = _call(
        "CreateFlowLogs",
        **{"ResourceId.1": properties["ResourceId"]},
        ResourceType=properties["ResourceType"],
        TrafficType=properties.get("TrafficType", "ALL"),
        LogDestinationType=properties.get("LogDestinationType", "cloud-watch-logs"),
        LogDestination=properties.get("LogDestination", ""),
        LogGroupName=properties.get("LogGroupName", ""),
    )
    _apply_tags(made("item"), properties)
    return made("item"), {"Id": made("item")}


def _delete_flow_log(resource: Resource) -> None:
    _call("DeleteFlowLogs", **{"FlowLogId.1": resource.physical_id})


def _rule(side: str) -> ResourceType:
    """``AWS::EC2::SecurityGroup{Ingress,Egress}``: one rule of a group that is declared elsewhere."""

    def create(resource: Resource) -> Created:
        identifier = resource.properties["GroupId"]
        group = _groups.get(identifier)
        if group is None:
            raise NotStabilizedError(f"The security group '{identifier}' does not exist")
        (permission,) = _permissions([resource.properties])
        if any(_same_rule(permission, present) for present in group[side]):
            raise NotStabilizedError("the specified rule already exists in the security group")
        group[side].append(permission)
        rule = str(_rule_id(identifier, side == "IpPermissionsEgress", permission))
        return rule, {"Id": rule}

    def remove(properties: Properties) -> None:
        group = _groups.get(properties["GroupId"])
        if group is not None:
            (permission,) = _permissions([properties])
            group[side] = [present for present in group[side] if not _same_rule(permission, present)]

    def update(resource: Resource) -> Created:
        """Only the description changes in place."""
        remove(resource.previous)
        return create(resource)

    what = ("CidrIp", "CidrIpv6", "FromPort", "ToPort", "IpProtocol", "GroupId", "GroupName")
    who = ("SecurityGroupId", "SecurityGroupName", "PrefixListId")
    peers = tuple(f"{end}{peer}" for end in ("Source", "Destination") for peer in who)
    return ResourceType(
        create=create, delete=lambda resource: remove(resource.properties), update=update, replaced_by=what + peers
    )


TYPES: dict[str, ResourceType] = {
    "AWS::EC2::EIP": ResourceType(
        create=_create_address,
        delete=_delete_address,
        update=_update_address,
        replaced_by=("Domain", "NetworkBorderGroup", "TransferAddress"),
        tagged=True,
    ),
    "AWS::EC2::NatGateway": ResourceType(
        create=_create_nat_gateway,
        delete=_delete_nat_gateway,
        update=_retag("NatGatewayId"),
        replaced_by=("SubnetId", "AllocationId", "ConnectivityType", "PrivateIpAddress", "VpcId"),
        tagged=True,
    ),
    "AWS::EC2::PlacementGroup": ResourceType(
        create=_create_placement_group,
        delete=_delete_placement_group,
        update=_update_placement_group,
        replaced_by=("Strategy", "PartitionCount", "SpreadLevel"),
        tagged=True,
    ),
    "AWS::EC2::FlowLog": ResourceType(
        create=_create_flow_log,
        delete=_delete_flow_log,
        update=_retag("Id"),
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
    ),
    "AWS::EC2::SecurityGroupIngress": _rule("IpPermissions"),
    "AWS::EC2::SecurityGroupEgress": _rule("IpPermissionsEgress"),
}
