"""Plain mappings as L1 properties come to the template that the class itself makes."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_events as events

from neuron_cdk.resource import resource

GROUP: dict[str, Any] = {
    "min_size": "0",
    "max_size": "4",
    "vpc_zone_identifier": ["subnet-0123"],
    "new_instances_protected_from_scale_in": False,
    "launch_template": {"launchTemplateId": "lt-0123", "version": "7"},
}


def test_it_is_what_the_class_makes_tags_included() -> None:
    made = []
    for way in (
        autoscaling.CfnAutoScalingGroup,
        lambda *at, **given: resource(autoscaling.CfnAutoScalingGroup, *at, **given),
    ):
        app = cdk.App()
        stack = cdk.Stack(app, "Stack")
        cdk.Tags.of(app).add("team", "ml")
        way(stack, "Group", **GROUP)
        made.append(app.synth().get_stack_by_name("Stack").template["Resources"])
    assert made[0] == made[1]
    assert made[0]["Group"]["Properties"]["Tags"] == [{"Key": "team", "Value": "ml", "PropagateAtLaunch": True}]


def test_a_property_that_is_none_is_left_out_and_references_stay_references() -> None:
    app = cdk.App()
    stack = cdk.Stack(app, "Stack")
    group = resource(autoscaling.CfnAutoScalingGroup, stack, "Group", **GROUP, capacity_rebalance=None)
    resource(events.CfnRule, stack, "Rule", event_pattern={"detail": {"AutoScalingGroupName": [group.ref]}})
    resources = app.synth().get_stack_by_name("Stack").template["Resources"]
    assert "CapacityRebalance" not in resources["Group"]["Properties"]
    assert resources["Rule"]["Properties"]["EventPattern"] == {"detail": {"AutoScalingGroupName": [{"Ref": "Group"}]}}


def test_a_property_that_the_class_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match=r"CfnRule has no event_patern; it has .*event_pattern"):
        resource(events.CfnRule, cdk.Stack(), "Rule", event_patern={})
