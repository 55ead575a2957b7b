"""The one master of a fleet's capacity: a function, what wakes it, and what it may do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import CfnResource
from aws_cdk import aws_events as events
from constructs import Construct

from .. import spec
from ..hook_function import HookFunction
from ..model import ArtifactStore
from ..place import arn, table
from ..resource import resource
from ..roles import Allow
from .group import PoolGroup
from .role import FLEET_TAG, GROUPS_BY_TAG

_SCALING_EVENTS = (
    "EC2 Instance Launch Successful",
    "EC2 Instance Launch Unsuccessful",
    "EC2 Instance Terminate Successful",
    "EC2 Instance Terminate Unsuccessful",
    "EC2 Auto Scaling Instance Refresh Succeeded",
    "EC2 Auto Scaling Instance Refresh Failed",
    "EC2 Auto Scaling Instance Refresh Cancelled",
)
# The EC2 guide calls the first one by either name.
_WARNINGS = (
    "Capacity Block Expiration Warning",
    "Capacity Block Reservation Expiration Warning",
    "EC2 Instance Rebalance Recommendation",
    "EC2 Spot Instance Interruption Warning",
)


class FleetController(Construct):
    """``neuron_hooks.fleet.controller`` for one fleet.

    It looks every minute, and at once when a group launches or fails to, when EC2 warns of an interruption, and when a
    capacity block nears its end. Its state is one item of the registry; what it decides is a function of that and of
    what AWS says, so a lost or doubled event changes nothing.

    :param configuration: what the handler reads from its environment (``FLEET``).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        fleet: str,
        store: ArtifactStore,
        groups: Sequence[PoolGroup],
        configuration: Mapping[str, Any],
        schedule: Sequence[spec.ScheduledSize] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self._groups = groups
        self._hook = hook = HookFunction(
            self,
            "Hook",
            entry="fleet.controller",
            key=store.key,
            environment={
                "REGISTRY_TABLE": table(store.registry)[0],
                "FLEET": json.dumps(configuration),  # group names, the only tokens in it, need no escape
            },
            allow=self._rights(scope, store, fleet),
            timeout_seconds=120,
        )
        self.function_name = hook.function_name
        self._wake(
            "Wake",
            schedule_expression="rate(1 minute)",
            event_pattern={
                "source": ["aws.autoscaling", "aws.ec2"],
                "detail-type": [*_SCALING_EVENTS, *_WARNINGS],
                "$or": [
                    {"detail": {"AutoScalingGroupName": [group.name for group in groups]}},
                    # EC2's warnings do not say which group an instance is of: the function looks.
                    {"source": ["aws.ec2"]},
                ],
            },
        )
        for index, entry in enumerate(schedule):
            limits = {"action": "limits", "min": entry.min, "max": entry.max}
            self._wake(f"Schedule{index + 1}", schedule_expression=f"cron({entry.cron})", says=limits)

    def release(self, version: str) -> CfnResource:
        """Have running instances replaced when ``version``, the launch template's number, changes.

        The resource comes after the groups, which name the version already, and ends when the last instance is
        replaced; when a replacement fails it fails, and CloudFormation takes the whole change back.
        """
        return CfnResource(
            self,
            "Release",
            type="Custom::NeuronFleetRelease",
            properties={
                "ServiceToken": self._hook.function_arn,
                "ServiceTimeout": "3600",
                "Version": version,
                "Groups": [group.name for group in self._groups],
            },
        )

    def _wake(self, construct_id: str, *, says: Mapping[str, Any] | None = None, **when: Any) -> None:
        target: dict[str, Any] = {"id": "Controller", "arn": self._hook.function_arn}
        if says:
            target["input"] = json.dumps(says)
        rule = resource(events.CfnRule, self, construct_id, targets=[target], **when)
        self._hook.answer_rule(f"{construct_id}Permission", rule.attr_arn)

    def _rights(self, scope: Construct, store: ArtifactStore, fleet: str) -> list[Allow]:
        return [
            Allow(
                ["dynamodb:GetItem", "dynamodb:UpdateItem"],
                [table(store.registry)[1]],
                when={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"fleet#{fleet}"]}},
            ),
            store.use_key(),
            Allow(
                [
                    "autoscaling:CancelInstanceRefresh",
                    "autoscaling:SetDesiredCapacity",
                    "autoscaling:StartInstanceRefresh",
                ],
                [arn(scope, "autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")],
                why=GROUPS_BY_TAG,
                when={"StringEquals": {f"autoscaling:ResourceTag/{FLEET_TAG}": fleet}},
            ),
            Allow(
                [
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribeInstanceRefreshes",
                    "autoscaling:DescribeScalingActivities",
                    "cloudwatch:GetMetricData",
                    "ec2:DescribeCapacityReservations",
                ],
                ["*"],
                why="Describe actions and GetMetricData take no resource but *",
            ),
            Allow(["events:PutEvents"], [arn(scope, "events", "event-bus/default")]),
        ]
