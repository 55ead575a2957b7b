"""What an Auto Scaling group launches: by its template, tags and policy of mixed instances, for its load balancer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.auto_scaling_groups import BOOT_S, ids

Clients = Callable[[str], Any]


def test_an_instance_is_as_its_template_says(group: Any, described: Any, later: Any, instance_of: Any) -> None:
    name = group(DesiredCapacity=1)
    later(BOOT_S)
    instance = instance_of(ids(described(name))[0])
    told = (instance["InstanceType"], instance["ImageId"], instance["SubnetId"], instance["State"]["Name"])
    assert told == ("inf2.xlarge", "ami-0123456789abcdef0", "subnet-00000001", "running")


def test_tags_of_template_and_group_propagate(
    group: Any, described: Any, later: Any, instance_of: Any, launch_template: Any
) -> None:
    specification = [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}]
    template = launch_template(TagSpecifications=specification)
    tags = [
        {"Key": "team", "Value": "ml", "PropagateAtLaunch": True},
        {"Key": "cost", "Value": "1", "PropagateAtLaunch": False},
    ]
    name = group(DesiredCapacity=1, Tags=tags, LaunchTemplate={"LaunchTemplateId": template, "Version": "1"})
    later(BOOT_S)
    instance = instance_of(ids(described(name))[0])
    assert {tag["Key"]: tag["Value"] for tag in instance["Tags"]} == {
        "from": "template",
        "team": "ml",
        "aws:autoscaling:groupName": name,
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": "1",
    }


@pytest.mark.parametrize(("version", "launched"), [("1", "1"), ("$Default", "1"), ("$Latest", "2")])
def test_the_version_of_the_template_is_found_at_launch(
    group: Any, described: Any, later: Any, client: Clients, launch_template: Any, version: str, launched: str
) -> None:
    template = launch_template()
    name = group(LaunchTemplate={"LaunchTemplateId": template, "Version": version})
    data = {"ImageId": "ami-11111111111111111", "InstanceType": "inf2.8xlarge"}
    client("ec2").create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    later(BOOT_S)
    assert described(name)["Instances"][0]["LaunchTemplate"]["Version"] == launched


def test_a_policy_of_mixed_instances_is_kept_whole(group: Any, described: Any, launch_template: Any) -> None:
    template = launch_template()
    distribution = {
        "OnDemandAllocationStrategy": "prioritized",
        "DistributionSegments": [{"TargetCapacityTypes": ["on-demand-capacity-reservation", "on-demand"]}],
    }
    overrides = [{"InstanceType": "inf2.xlarge"}, {"InstanceType": "inf2.8xlarge"}]
    wanted = {"LaunchTemplateId": template, "Version": "1"}
    policy = {
        "LaunchTemplate": {"LaunchTemplateSpecification": wanted, "Overrides": overrides},
        "InstancesDistribution": distribution,
    }
    kept = described(group(MixedInstancesPolicy=policy))["MixedInstancesPolicy"]
    kept["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName")
    assert kept == policy


def test_what_else_a_group_is_given_is_described(group: Any, described: Any) -> None:
    given = {
        "CapacityReservationSpecification": {"CapacityReservationPreference": "none"},
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 600,
        "CapacityRebalance": True,
        "MaxInstanceLifetime": 86_400,
        "InstanceMaintenancePolicy": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 120},
        "DefaultInstanceWarmup": 60,
    }
    kept = described(group(**given))
    assert {name: kept[name] for name in given} == given


def test_instances_in_service_are_targets_of_the_load_balancer(
    group: Any, described: Any, later: Any, client: Clients
) -> None:
    made = client("elbv2").create_target_group(Name="serve", Protocol="HTTP", Port=8080, VpcId="vpc-00000001")
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    name = group(DesiredCapacity=1, TargetGroupARNs=[arn])
    later(BOOT_S)
    healthy = client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    assert [each["Target"]["Id"] for each in healthy] == ids(described(name))
