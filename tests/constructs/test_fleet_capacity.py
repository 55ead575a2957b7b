"""How a fleet buys its instances: pools, groups, bounds, hooks, and what its controller is told."""

from __future__ import annotations

import pytest
from aws_cdk.assertions import Match

FLEETS = ["trn1-efa", "one-type", "two-types", "spot", "scaled", "reserved", "fallback", "gang", "serving-tls", "queue"]


@pytest.fixture(params=FLEETS)
def fleet(request) -> str:
    return request.param


def versions(group) -> object:
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return (group.get("LaunchTemplate") or mixed["LaunchTemplateSpecification"])["Version"]


def test_every_group_names_a_numbered_version(fleet, groups):
    for group in groups(fleet).values():
        assert versions(group)["Fn::GetAtt"][1] == "LatestVersionNumber"


def test_a_deploy_never_says_how_many_instances_there_are(fleet, groups):
    for group in groups(fleet).values():
        assert "DesiredCapacity" not in group
        assert (group["MinSize"], group["MaxSize"]) == ("0", "4")


def test_a_group_may_be_empty_where_the_controller_owns_the_size(groups, configuration):
    assert configuration("fallback")["min"] == 1
    assert {group["MinSize"] for group in groups("fallback").values()} == {"0"}


# -- pools -----------------------------------------------------------------------------------------------------------


def test_capacity_becomes_a_group_for_each_way_to_buy_in_order(configuration, groups):
    assert [pool["name"] for pool in configuration("gang")["pools"]] == ["capacity-block", "spot", "on-demand"]
    assert set(groups("gang")) == {"capacity-block", "spot", "on-demand"}


def test_one_type_on_demand_needs_no_mixed_policy(template):
    template("one-type").has_resource_properties(
        "AWS::AutoScaling::AutoScalingGroup", {"MixedInstancesPolicy": Match.absent()}
    )


def test_several_types_are_tried_in_order_on_demand(group):
    policy = group("two-types")["MixedInstancesPolicy"]
    assert [one["InstanceType"] for one in policy["LaunchTemplate"]["Overrides"]] == ["inf2.xlarge", "inf2.8xlarge"]
    assert policy["InstancesDistribution"]["OnDemandAllocationStrategy"] == "prioritized"
    assert policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 100


def test_a_spot_pool_is_all_spot_where_capacity_is(group):
    policy = group("spot")["MixedInstancesPolicy"]["InstancesDistribution"]
    assert policy["OnDemandPercentageAboveBaseCapacity"] == 0
    assert "OnDemandBaseCapacity" not in policy
    assert policy["SpotAllocationStrategy"] == "price-capacity-optimized"


def test_spot_instances_at_risk_are_replaced_ahead_but_never_out_of_a_gang(groups):
    assert groups("fallback")["spot"]["CapacityRebalance"] is True
    assert "CapacityRebalance" not in groups("gang")["spot"]


def test_a_reservation_falls_back_to_on_demand_inside_its_group(group):
    distribution = group("reserved")["MixedInstancesPolicy"]["InstancesDistribution"]
    assert distribution == {
        "DistributionSegments": [{"TargetCapacityTypes": ["on-demand-capacity-reservation", "on-demand"]}]
    }
    assert group("reserved")["CapacityReservationSpecification"]["CapacityReservationPreference"] == (
        "capacity-reservations-first"
    )


def test_a_reservation_alone_falls_back_to_nothing(group):
    assert group("reserved-only")["CapacityReservationSpecification"]["CapacityReservationPreference"] == (
        "capacity-reservations-only"
    )


def test_reservations_are_reached_through_a_resource_group_that_instances_can_target(template, group):
    (reservations,) = template("reserved").find_resources("AWS::ResourceGroups::Group")
    target = group("reserved")["CapacityReservationSpecification"]["CapacityReservationTarget"]
    assert target == {"CapacityReservationResourceGroupArns": [{"Fn::GetAtt": [reservations, "Arn"]}]}
    template("reserved").has_resource_properties(
        "AWS::ResourceGroups::Group",
        {
            "Configuration": Match.array_with([{"Type": "AWS::EC2::CapacityReservationPool"}]),
            "Resources": [Match.object_like({})],
        },
    )


def test_blocks_fall_back_to_nothing_but_another_block(groups):
    block = groups("gang")["capacity-block"]
    assert block["CapacityReservationSpecification"]["CapacityReservationPreference"] == "capacity-reservations-only"
    distribution = block["MixedInstancesPolicy"]["InstancesDistribution"]
    assert distribution == {"DistributionSegments": [{"TargetCapacityTypes": ["capacity-block"]}]}


# -- coming and going ------------------------------------------------------------------------------------------------


def hooks(group) -> dict[str, dict]:
    return {hook["LifecycleHookName"]: hook for hook in group["LifecycleHookSpecificationList"]}


def test_an_instance_that_never_says_it_is_ready_does_not_join(fleet, groups):
    for group in groups(fleet).values():
        assert hooks(group)["launch"]["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
        assert hooks(group)["launch"]["DefaultResult"] == "ABANDON"


@pytest.mark.parametrize(("name", "seconds"), [("fallback", 300), ("serving-tls", 600)])
def test_a_leaving_instance_may_finish_what_it_does(name, seconds, groups):
    for group in groups(name).values():
        assert hooks(group)["terminate"]["HeartbeatTimeout"] == seconds
        assert hooks(group)["terminate"]["DefaultResult"] == "CONTINUE"


def test_old_instances_are_replaced_when_the_file_says_how_old(groups):
    assert {group["MaxInstanceLifetime"] for group in groups("serving-tls").values()} == {30 * 24 * 3600}
    assert "MaxInstanceLifetime" not in groups("fallback")["spot"]


def test_replacements_come_before_what_they_replace_goes_where_there_is_room(groups):
    wanted = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 120}
    assert groups("fallback")["on-demand"]["InstanceMaintenancePolicy"] == wanted
    assert "InstanceMaintenancePolicy" not in groups("reserved")["reservation"]
    assert "InstanceMaintenancePolicy" not in groups("gang")["on-demand"]


def test_a_warm_pool_holds_as_many_as_the_file_says(template):
    template("warm").has_resource_properties(
        "AWS::AutoScaling::WarmPool", {"MinSize": 2, "MaxGroupPreparedCapacity": 2, "PoolState": "Stopped"}
    )


# -- who owns the size -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["one-type", "two-types", "spot", "scaled", "warm", "serving"])
def test_auto_scaling_sizes_one_pool_that_it_can_size_alone(name, configuration):
    assert configuration(name)["owns_size"] is False


@pytest.mark.parametrize("name", ["fallback", "gang", "trn1-efa", "queue", "scheduled", "serving-tls"])
def test_the_controller_owns_the_size_of_what_auto_scaling_cannot_size_alone(name, configuration, template):
    assert configuration(name)["owns_size"] is True
    template(name).resource_count_is("AWS::AutoScaling::ScalingPolicy", 0)


def test_scaling_of_one_pool_follows_the_metric_the_instances_publish(template):
    template("scaled").has_resource_properties(
        "AWS::AutoScaling::ScalingPolicy",
        {
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingConfiguration": {
                "TargetValue": 70,
                "CustomizedMetricSpecification": {
                    "Namespace": "NeuronCdk/Fleet",
                    "MetricName": "NeuronCoreUtilization",
                    "Dimensions": [{"Name": "Fleet", "Value": "scaled/Fleet"}],
                    "Statistic": "Average",
                    "Unit": "Percent",
                },
            },
        },
    )


def test_scaling_by_requests_names_load_balancer_and_target_group(template):
    (policy,) = template("serving").find_resources("AWS::AutoScaling::ScalingPolicy").values()
    tracked = policy["Properties"]["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]
    assert tracked["PredefinedMetricType"] == "ALBRequestCountPerTarget"
    load_balancer, slash, targets = tracked["ResourceLabel"]["Fn::Join"][1]
    assert load_balancer["Fn::GetAtt"][1] == "LoadBalancerFullName"
    assert slash == "/"
    assert targets["Fn::GetAtt"][1] == "TargetGroupFullName"


def test_a_fleet_that_asks_for_no_scaling_has_none(template, configuration):
    template("one-type").resource_count_is("AWS::AutoScaling::ScalingPolicy", 0)
    assert configuration("one-type")["scaling"] is None


def test_a_queue_is_followed_by_the_controller(configuration):
    assert configuration("queue")["scaling"]["query"] == {
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateNumberOfMessagesVisible",
        "Dimensions": [{"Name": "QueueName", "Value": "requests"}],
        "Stat": "Maximum",
    }


# -- the controller --------------------------------------------------------------------------------------------------


def test_the_controller_knows_the_fleet_as_the_file_has_it(configuration):
    told = configuration("fallback")
    assert (told["name"], told["min"], told["max"], told["start"]) == ("fallback/Fleet", 1, 4, 1)
    assert told["return_after_s"] == 900
    assert told["gang"] is False
    assert [(pool["kind"], pool["base"]) for pool in told["pools"]] == [("spot", 0), ("on-demand", 2)]


def test_a_training_fleet_is_a_gang(configuration):
    assert configuration("gang")["gang"] is True
    assert configuration("gang")["pools"][0]["reservations"] == ["cr-0123456789abcdef0"]


def rules(template, name) -> list[dict]:
    return [rule["Properties"] for rule in template(name).find_resources("AWS::Events::Rule").values()]


def test_the_controller_looks_every_minute(fleet, template):
    assert "rate(1 minute)" in [rule.get("ScheduleExpression") for rule in rules(template, fleet)]


def test_the_controller_hears_of_its_own_groups_and_of_all_warnings(template):
    (pattern,) = (rule["EventPattern"] for rule in rules(template, "fallback"))
    ours, warnings = pattern["$or"]
    assert len(ours["detail"]["AutoScalingGroupName"]) == 2
    assert warnings == {"source": ["aws.ec2"]}
    assert "EC2 Instance Launch Unsuccessful" in pattern["detail-type"]
    assert "Capacity Block Reservation Expiration Warning" in pattern["detail-type"]


def test_a_schedule_tells_the_controller_new_limits(template):
    (scheduled,) = (rule for rule in rules(template, "scheduled") if "cron" in rule.get("ScheduleExpression", ""))
    assert scheduled["ScheduleExpression"] == "cron(0 8 ? * MON-FRI *)"
    assert scheduled["Targets"][0]["Input"] == '{"action": "limits", "min": 2, "max": 4}'


def controllers_rights(resources, statements) -> dict[str, dict]:
    (role,) = (
        role
        for role in resources("fallback", "AWS::IAM::Role").values()
        if "lambda" in str(role["AssumeRolePolicyDocument"])
    )
    return {action: statement for statement in statements(role) for action in statement["Action"]}


def test_the_controller_sizes_its_own_groups_and_no_others(resources, statements):
    assert controllers_rights(resources, statements)["autoscaling:SetDesiredCapacity"]["Condition"] == {
        "StringEquals": {"autoscaling:ResourceTag/neuron-cdk:fleet": "fallback/Fleet"}
    }


def test_the_controller_writes_its_own_item_of_the_registry_only(resources, statements):
    assert controllers_rights(resources, statements)["dynamodb:UpdateItem"]["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["fleet#fallback/Fleet"]}
    }


# -- replacing instances ---------------------------------------------------------------------------------------------


def test_a_new_version_is_released_after_the_groups_name_it(template):
    (release,) = template("fallback").find_resources("Custom::NeuronFleetRelease").values()
    assert release["Properties"]["Version"]["Fn::GetAtt"][1] == "LatestVersionNumber"
    after = {group["Ref"] for group in release["Properties"]["Groups"]}
    assert after == set(template("fallback").find_resources("AWS::AutoScaling::AutoScalingGroup"))


def test_instances_that_serve_are_replaced_with_checkpoints_and_an_alarm(configuration):
    refresh = configuration("serving-tls")["refresh"]
    assert (refresh["min_healthy_percent"], refresh["checkpoints"], refresh["bake_seconds"]) == (50, [50, 100], 300)
    assert len(refresh["alarms"]) == 1


@pytest.mark.parametrize("name", ["gang", "one-type"])
def test_gangs_and_instances_without_a_model_stay_as_they_are(name, configuration):
    assert configuration(name)["refresh"] is None
