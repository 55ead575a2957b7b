"""Elastic Load Balancing types, mended: ministack makes every load balancer an Application Load Balancer.

A Network Load Balancer's ARN and full name say ``net``, and a target group of its protocols is checked over TCP; a load
balancer lies in the zones of its subnets, an Application Load Balancer in two at least; ``Fn::GetAtt`` knows which load
balancers a target group has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import alb, ec2
from ministack.services.cloudformation import provisioners

from .. import patching
from .types import Created, NotStabilizedError, Properties

Handler = dict[str, Any]

_load_balancers = patching.original(alb, "_lbs")
_target_groups = patching.original(alb, "_tgs")
_listeners = patching.original(alb, "_listeners")
_rules = patching.original(alb, "_rules")
_by_load_balancer = (_load_balancers, patching.original(alb, "_lb_attrs"), patching.original(alb, "_tags"))
_by_listener = (_listeners, patching.original(alb, "_listener_attrs"), patching.original(alb, "_tags"))
_load_balancer_xml = patching.original(alb, "_lb_xml")
_subnets = patching.original(ec2, "_subnets")
_as_list = patching.original(provisioners, "_elbv2_as_list")

_NETWORK_PROTOCOLS = ("TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC")


def install() -> None:
    patching.replace(alb, "_lb_xml", _describe)


def _describe(load_balancer: dict[str, Any]) -> str:
    """The load balancer as ministack words it, each subnet with its own zone."""
    text: str = _load_balancer_xml(load_balancer)
    start, end = text.index("<AvailabilityZones>"), text.index("</AvailabilityZones>")
    zones = "".join(
        f"<member><ZoneName>{_subnets[subnet]['AvailabilityZone']}</ZoneName><SubnetId>{subnet}</SubnetId>"
        "<LoadBalancerAddresses/></member>"
        for subnet in load_balancer["Subnets"]
        if subnet in _subnets
    )
    return f"{text[:start]}<AvailabilityZones>{zones}{text[end:]}"


def load_balancer(handler: Handler) -> Handler:
    create, update = handler["create"], handler["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        network = _placed(properties)
        arn, attributes = create(logical_id, properties, stack)
        if properties.get("Type") == "network":
            old, arn = arn, arn.replace(":loadbalancer/app/", ":loadbalancer/net/")
            for store in _by_load_balancer:
                store[arn] = store.pop(old)
            _load_balancers[arn]["LoadBalancerArn"] = arn
        _load_balancers[arn] |= network
        return arn, _load_balancer_attributes(arn, attributes)

    def updated(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        network = _placed(new)
        arn, attributes = update(arn, old, new, stack, logical_id)
        _load_balancers[arn] |= network
        return arn, _load_balancer_attributes(arn, attributes)

    return {**handler, "create": created, "update": updated}


def _placed(properties: Properties) -> dict[str, Any]:
    """The subnets and their VPC. Raises ``NotStabilizedError``, worded as AWS does, when it cannot lie there."""
    subnets = _as_list(properties.get("Subnets")) or [
        item["SubnetId"] for item in properties.get("SubnetMappings") or []
    ]
    missing = [subnet for subnet in subnets if subnet not in _subnets]
    if missing:
        raise NotStabilizedError(f"The subnet ID '{missing[0]}' is not valid")
    zones = {_subnets[subnet]["AvailabilityZone"] for subnet in subnets}
    if len(zones) < len(subnets):
        raise NotStabilizedError("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
    if len(zones) < 2 and properties.get("Type", "application") == "application":
        raise NotStabilizedError("At least two subnets in two different Availability Zones must be specified")
    if not subnets:
        raise NotStabilizedError("You must specify subnets")
    return {"Subnets": list(subnets), "VpcId": _subnets[subnets[0]]["VpcId"]}


def _load_balancer_attributes(arn: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return attributes | {
        "Arn": arn,
        "LoadBalancerArn": arn,
        "LoadBalancerFullName": arn.partition(":loadbalancer/")[2],
    }


def target_group(handler: Handler) -> Handler:
    create, update = handler["create"], handler["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        arn, attributes = create(logical_id, _checked(properties), stack)
        return arn, attributes | _its_load_balancers(arn)

    def updated(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        arn, attributes = update(arn, _checked(old), _checked(new), stack, logical_id)
        return arn, attributes | _its_load_balancers(arn)

    return {**handler, "create": created, "update": updated}


def _checked(properties: Properties) -> Properties:
    """With the protocol that health is checked over when the template does not say."""
    network = properties.get("Protocol") in _NETWORK_PROTOCOLS
    return {"HealthCheckProtocol": "TCP", **properties} if network else properties


def _its_load_balancers(arn: str) -> dict[str, Any]:
    """The target group's own list, not a copy: a listener of the same stack adds to it later."""
    return {"LoadBalancerArns": _target_groups[arn]["LoadBalancerArns"]}


def listener(handler: Handler) -> Handler:
    create, update = handler["create"], handler["update"]

    def created(logical_id: str, properties: Properties, stack: str) -> Created:
        return _renamed(create(logical_id, properties, stack))

    def updated(arn: str, old: Properties, new: Properties, stack: str, logical_id: str) -> Created:
        return _renamed(update(arn, old, new, stack, logical_id))

    return {**handler, "create": created, "update": updated}


def _renamed(made: Created) -> Created:
    """A Network Load Balancer's listener and its rules with ``net`` in their ARNs."""
    arn, attributes = made
    if "/net/" in arn or ":loadbalancer/net/" not in _listeners[arn]["LoadBalancerArn"]:
        return made
    renamed = arn.replace(":listener/app/", ":listener/net/")
    for store in _by_listener:
        if arn in store:
            store[renamed] = store.pop(arn)
    _listeners[renamed]["ListenerArn"] = renamed
    for old, rule in list(_rules.items()):
        if rule["ListenerArn"] == arn:
            new = old.replace(":listener-rule/app/", ":listener-rule/net/")
            _rules[new] = _rules.pop(old) | {"RuleArn": new, "ListenerArn": renamed}
    return renamed, attributes | {"ListenerArn": renamed, "Arn": renamed}


MENDED: dict[str, Callable[[Handler], Handler]] = {
    "AWS::ElasticLoadBalancingV2::LoadBalancer": load_balancer,
    "AWS::ElasticLoadBalancingV2::TargetGroup": target_group,
    "AWS::ElasticLoadBalancingV2::Listener": listener,
}
