"""One capacity pool of a fleet: an Auto Scaling group that buys in one way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_resourcegroups as resourcegroups
from constructs import Construct

from .. import spec
from ..nag import acknowledge
from ..place import arn
from ..resource import resource
from .role import FLEET_TAG

LAUNCH_HOOK = "launch"
TERMINATE_HOOK = "terminate"
# Boot, driver, artifact of tens of gigabytes, model load: an instance that takes longer does not come.
_LAUNCH_SECONDS = 3600
_ACCEPTED = {
    "AwsSolutions-AS3": "Auto Scaling tells EventBridge of every launch and failure; a topic would say it again",
    "AwsSolutions-EC26": "the rule cannot follow a mixed policy to its launch template (encrypted there)",
}
_SEGMENTS = {
    "capacity-block": "capacity-block",
    "reservation": "on-demand-capacity-reservation",
    "on-demand": "on-demand",
}
_CONSTRUCT_IDS = {
    "capacity-block": "CapacityBlock",
    "reservation": "Reservation",
    "spot": "Spot",
    "on-demand": "OnDemand",
}


@dataclass(frozen=True)
class Lifecycle:
    """How instances come and go, alike in all pools of a fleet.

    :param drain_seconds: how long a leaving instance may take to finish what it does.
    :param max_lifetime_days: replaced when older; never when None.
    :param gang: training: members are not replaced one by one ahead of time.
    :param health: ``EC2``, or ``ELB`` where a load balancer asks the server too.
    """

    drain_seconds: int
    max_lifetime_days: int | None
    gang: bool
    health: str = "EC2"
    target_groups: Sequence[str] = ()


class PoolGroup(Construct):
    """The Auto Scaling group of one pool.

    - ``capacity-block``, ``reservation``: through a resource group of the reservations, in a distribution segment that
      falls back to on-demand when the pool has it ("Use Distribution Segments", EC2 Auto Scaling user guide). So a pool
      takes several blocks; a market type in the launch template takes one.
    - ``spot``: price-capacity-optimized over all types, replaced ahead of an interruption where EC2 tells of the risk.
    - ``on-demand``: the types in order.

    The template never says how many instances there are: a deploy must not undo what scaling did.
    """

    def __init__(
        self,
        scope: Construct,
        pool: spec.Pool,
        *,
        fleet: str,
        version: dict[str, str],
        instance_types: Sequence[str],
        subnets: Sequence[str],
        bounds: spec.Range,
        lifecycle: Lifecycle,
    ) -> None:
        super().__init__(scope, _construct_id(pool.name))
        self.pool = pool
        kind = pool.kinds[0]
        properties: dict[str, Any] = {
            "min_size": str(bounds.min),
            "max_size": str(bounds.max),
            "vpc_zone_identifier": list(subnets),
            "health_check_type": lifecycle.health,
            "health_check_grace_period": 600,
            "new_instances_protected_from_scale_in": False,
            "metrics_collection": [{"granularity": "1Minute"}],
            "capacity_rebalance": True if kind == "spot" and not lifecycle.gang else None,
            "target_group_arns": list(lifecycle.target_groups) or None,
            "max_instance_lifetime": lifecycle.max_lifetime_days * 86_400 if lifecycle.max_lifetime_days else None,
            "instance_maintenance_policy": self._maintenance(lifecycle),
            "lifecycle_hook_specification_list": [
                {
                    "lifecycleHookName": LAUNCH_HOOK,
                    "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                    "heartbeatTimeout": _LAUNCH_SECONDS,
                    "defaultResult": "ABANDON",  # an instance that never said it is ready is not
                },
                {
                    "lifecycleHookName": TERMINATE_HOOK,
                    "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
                    "heartbeatTimeout": lifecycle.drain_seconds,
                    "defaultResult": "CONTINUE",
                },
            ],
            "tags": [
                {"key": key, "value": value, "propagateAtLaunch": True}
                for key, value in (("Name", fleet), (FLEET_TAG, fleet), ("neuron-cdk:pool", pool.name))
            ],
            **self._bought(version, instance_types),
        }
        self.resource = resource(autoscaling.CfnAutoScalingGroup, self, "Group", **properties)
        self.told = _without(version, {name: value for name, value in properties.items() if value is not None})
        """What CloudFormation tells the group, without the version of its launch template."""
        self.name, self.template = self.resource.ref, version["launchTemplateId"]
        acknowledge(self, _ACCEPTED)

    def _maintenance(self, lifecycle: Lifecycle) -> dict[str, int] | None:
        """Launch before terminate, where there is somewhere to launch: a reservation has no spare room."""
        if lifecycle.gang or self.pool.reservations:
            return None
        return {"minHealthyPercentage": 100, "maxHealthyPercentage": 120}

    def _bought(self, version: dict[str, str], instance_types: Sequence[str]) -> dict[str, Any]:
        kind = self.pool.kinds[0]
        if self.pool.reservations:
            distribution: dict[str, Any] = {
                "distributionSegments": [{"targetCapacityTypes": [_SEGMENTS[each] for each in self.pool.kinds]}],
            }
            target = {"capacityReservationResourceGroupArns": [self._reservations().attr_arn]}
            first = "on-demand" in self.pool.kinds
            preference = "capacity-reservations-first" if first else "capacity-reservations-only"
            return self._mixed(version, instance_types, distribution) | _reserved(preference, target)
        if kind == "spot":
            distribution = {
                "onDemandPercentageAboveBaseCapacity": 0,
                "spotAllocationStrategy": "price-capacity-optimized",
            }
            return self._mixed(version, instance_types, distribution)
        if len(instance_types) == 1:
            return {"launch_template": version}
        distribution = {"onDemandAllocationStrategy": "prioritized", "onDemandPercentageAboveBaseCapacity": 100}
        return self._mixed(version, instance_types, distribution)

    def _mixed(
        self, version: dict[str, str], instance_types: Sequence[str], distribution: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "mixed_instances_policy": {
                "launchTemplate": {
                    "launchTemplateSpecification": version,
                    "overrides": [{"instanceType": name} for name in instance_types],
                },
                "instancesDistribution": distribution,
            }
        }

    def _reservations(self) -> resourcegroups.CfnGroup:
        """The reservations as a resource group that instances can be launched into."""
        return resourcegroups.CfnGroup(
            self,
            "Reservations",
            # The API wants a name; no other group of the account and region is called after this construct.
            name=f"{Stack.of(self).stack_name}-{self.node.addr[-8:]}",
            configuration=[
                {"type": "AWS::EC2::CapacityReservationPool"},
                {
                    "type": "AWS::ResourceGroups::Generic",
                    "parameters": [
                        {"name": "allowed-resource-types", "values": ["AWS::EC2::CapacityReservation"]},
                    ],
                },
            ],
            resources=[
                arn(self, "ec2", f"capacity-reservation/{reservation}") for reservation in self.pool.reservations
            ],
        )


def _without(version: dict[str, str], value: Any) -> Any:
    if value is version:
        return {name: each for name, each in version.items() if name != "version"}
    if isinstance(value, dict):
        return {name: _without(version, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(version, each) for each in value]
    return value


def _reserved(preference: str, target: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "capacity_reservation_specification": {
            "capacityReservationPreference": preference,
            "capacityReservationTarget": target,
        }
    }


def _construct_id(pool: str) -> str:
    """``capacity-block-2`` is ``CapacityBlock2``."""
    kind = next(kind for kind in _CONSTRUCT_IDS if pool.startswith(kind))
    return _CONSTRUCT_IDS[kind] + pool.removeprefix(kind).replace("-", "")
