"""A fleet: interfaces, placement, launch template, how instances are bought and counted, what is refused."""

from __future__ import annotations

import json

import pytest
from aws_cdk.assertions import Match

from neuron_cdk import NeuronFleet, spec

FLEETS = [
    "trn1-efa",
    "trn2-efa-only",
    "trn1-no-efa",
    "one-type",
    "two-types",
    "spot",
    "pinned",
    "scaled",
]


@pytest.fixture(params=FLEETS)
def fleet(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def launch(only):
    """The data of a fleet's launch template."""
    return lambda name: only(name, "AWS::EC2::LaunchTemplate")["LaunchTemplateData"]


@pytest.fixture(scope="session")
def group(only):
    return lambda name: only(name, "AWS::AutoScaling::AutoScalingGroup")


def cards(launch_data) -> list[tuple[int, int, str]]:
    return [
        (interface["NetworkCardIndex"], interface["DeviceIndex"], interface["InterfaceType"])
        for interface in launch_data["NetworkInterfaces"]
    ]


# -- EFA -----------------------------------------------------------------------------------------------------------


def test_trn1_32xlarge_has_eight_efa_interfaces_one_a_card(launch):
    assert cards(launch("trn1-efa")) == [
        (0, 0, "efa"),
        (1, 1, "efa"),
        (2, 1, "efa"),
        (3, 1, "efa"),
        (4, 1, "efa"),
        (5, 1, "efa"),
        (6, 1, "efa"),
        (7, 1, "efa"),
    ]


def test_the_efa_only_layout_keeps_one_interface_with_addresses(launch):
    interfaces = cards(launch("trn2-efa-only"))
    assert interfaces[0] == (0, 0, "interface")
    assert {kind for _, _, kind in interfaces[1:]} == {"efa-only"}
    assert {card for card, _, kind in interfaces if kind == "efa-only"} == set(range(16))


def test_without_efa_there_is_one_ordinary_interface(launch):
    assert cards(launch("trn1-no-efa")) == [(0, 0, "interface")]


def test_no_interface_has_a_public_address_or_a_subnet_of_its_own(fleet, launch):
    for interface in launch(fleet)["NetworkInterfaces"]:
        assert interface["AssociatePublicIpAddress"] is False
        assert interface["DeleteOnTermination"] is True
        assert "SubnetId" not in interface


def test_every_interface_has_the_fleets_group(fleet, launch, resources):
    (group_id,) = resources(fleet, "AWS::EC2::SecurityGroup")
    for interface in launch(fleet)["NetworkInterfaces"]:
        assert interface["Groups"] == [{"Fn::GetAtt": [group_id, "GroupId"]}]


@pytest.mark.parametrize("name", ["trn1-efa", "trn2-efa-only"])
def test_an_efa_fleet_is_placed_close_together(template, launch, name):
    template(name).has_resource_properties("AWS::EC2::PlacementGroup", {"Strategy": "cluster"})
    (placement,) = template(name).find_resources("AWS::EC2::PlacementGroup")
    assert launch(name)["Placement"] == {"GroupName": {"Ref": placement}}


@pytest.mark.parametrize("name", ["trn1-no-efa", "one-type", "two-types"])
def test_a_fleet_without_efa_is_not_placed(template, launch, name):
    template(name).resource_count_is("AWS::EC2::PlacementGroup", 0)
    assert "Placement" not in launch(name)


def test_an_efa_fleet_lives_in_one_subnet_and_others_in_all(group):
    assert len(group("trn1-efa")["VPCZoneIdentifier"]) == 1
    assert len(group("two-types")["VPCZoneIdentifier"]) == 2


def test_the_efa_group_is_open_to_itself_both_ways_by_rules_of_their_own(template):
    group = template("efa-group")
    group.resource_count_is("AWS::EC2::SecurityGroupIngress", 1)
    group.resource_count_is("AWS::EC2::SecurityGroupEgress", 1)
    (itself,) = group.find_resources("AWS::EC2::SecurityGroup")
    members = {"Fn::GetAtt": [itself, "GroupId"]}
    group.has_resource_properties(
        "AWS::EC2::SecurityGroupIngress",
        {"GroupId": members, "SourceSecurityGroupId": members, "IpProtocol": "-1"},
    )
    group.has_resource_properties(
        "AWS::EC2::SecurityGroupEgress",
        {"GroupId": members, "DestinationSecurityGroupId": members, "IpProtocol": "-1"},
    )


def test_nothing_from_outside_gets_into_any_fleet(fleet, resources):
    for group in resources(fleet, "AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group
        assert [rule["FromPort"] for rule in group["SecurityGroupEgress"]] == [443]


# -- what is launched ----------------------------------------------------------------------------------------------


def test_metadata_needs_a_token_and_reaches_containers(fleet, launch):
    assert launch(fleet)["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
    }


def test_the_root_volume_is_under_our_key(fleet, launch):
    (root,) = launch(fleet)["BlockDeviceMappings"]
    assert root["Ebs"]["Encrypted"] is True
    assert "StoreKey" in json.dumps(root["Ebs"]["KmsKeyId"])


@pytest.mark.parametrize(("name", "gigabytes"), [("trn1-efa", 512), ("one-type", 256)])
def test_the_root_volume_has_room_for_the_chips_work(launch, name, gigabytes):
    (root,) = launch(name)["BlockDeviceMappings"]
    assert (root["DeviceName"], root["Ebs"]["VolumeSize"]) == ("/dev/sda1", gigabytes)


def test_nobody_logs_in_with_a_key_pair(fleet, launch):
    assert "KeyName" not in launch(fleet)


def test_the_image_is_resolved_at_deploy_to_an_id_that_can_be_rolled_back_to(template, launch):
    (parameter,) = template("one-type").find_parameters(
        "*", {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"}
    )
    assert launch("one-type")["ImageId"] == {"Ref": parameter}


def test_no_template_hides_the_image_behind_resolve_ssm(fleet, template):
    assert "resolve:ssm" not in json.dumps(template(fleet).to_json())


def test_a_pinned_image_is_taken_as_it_is(template, launch):
    assert launch("pinned")["ImageId"] == "ami-0123456789abcdef0"
    assert not template("pinned").find_parameters("*", {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"})


# -- how instances are bought and counted --------------------------------------------------------------------------


def versions(group) -> object:
    mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return (group.get("LaunchTemplate") or mixed["LaunchTemplateSpecification"])["Version"]


def test_the_group_names_a_numbered_version(fleet, template, group):
    (launch_template,) = template(fleet).find_resources("AWS::EC2::LaunchTemplate")
    assert versions(group(fleet)) == {"Fn::GetAtt": [launch_template, "LatestVersionNumber"]}


def test_a_deploy_never_says_how_many_instances_there_are(fleet, group):
    assert "DesiredCapacity" not in group(fleet)
    assert (group(fleet)["MinSize"], group(fleet)["MaxSize"]) == ("0", "4")


def test_one_type_on_demand_needs_no_mixed_policy(template):
    template("one-type").has_resource_properties(
        "AWS::AutoScaling::AutoScalingGroup", {"MixedInstancesPolicy": Match.absent()}
    )


def test_several_types_are_tried_in_order_on_demand(group):
    policy = group("two-types")["MixedInstancesPolicy"]
    assert [one["InstanceType"] for one in policy["LaunchTemplate"]["Overrides"]] == ["inf2.xlarge", "inf2.8xlarge"]
    assert policy["InstancesDistribution"]["OnDemandAllocationStrategy"] == "prioritized"
    assert policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 100


def test_a_spot_fleet_is_all_spot_where_capacity_is(group):
    policy = group("spot")["MixedInstancesPolicy"]["InstancesDistribution"]
    assert policy["OnDemandPercentageAboveBaseCapacity"] == 0
    assert "OnDemandBaseCapacity" not in policy
    assert policy["SpotAllocationStrategy"] == "price-capacity-optimized"


def test_launches_and_failures_are_told_to_an_encrypted_topic(fleet, template, group):
    (topic,) = template(fleet).find_resources("AWS::SNS::Topic", {"Properties": {"KmsMasterKeyId": Match.any_value()}})
    (told,) = group(fleet)["NotificationConfigurations"]
    assert told["TopicARN"] == {"Ref": topic}
    assert "autoscaling:EC2_INSTANCE_LAUNCH_ERROR" in told["NotificationTypes"]


# -- scaling -------------------------------------------------------------------------------------------------------


def test_scaling_follows_the_metric_the_instances_publish(template, launch):
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
    assert "export FLEET='scaled/Fleet'" in launch("scaled")["UserData"]["Fn::Base64"]


def test_a_fleet_that_asks_for_no_scaling_has_none(template):
    template("one-type").resource_count_is("AWS::AutoScaling::ScalingPolicy", 0)


# -- rights --------------------------------------------------------------------------------------------------------


def test_instances_may_publish_their_own_metric_and_be_managed_and_nothing_else(fleet, only, statements):
    rights = statements(only(fleet, "AWS::IAM::Role"))
    assert {action for statement in rights for action in statement["Action"]} == {
        "cloudwatch:PutMetricData",
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    }
    (publish,) = (statement for statement in rights if "cloudwatch:PutMetricData" in statement["Action"])
    assert publish["Condition"] == {"StringEquals": {"cloudwatch:namespace": "NeuronCdk/Fleet"}}


# -- refusals ------------------------------------------------------------------------------------------------------


def refused(platform, types, message, **options):
    options = {"size": spec.Size(min=0, max=1), **options}
    with pytest.raises(ValueError, match=message):
        NeuronFleet(platform.stack, "Fleet", vpc=platform.vpc, key=platform.key, instance_types=types, **options)


def test_two_kinds_of_chip_are_refused(platform):
    message = r"inf2\.xlarge and trn1\.2xlarge differ in accelerator"
    refused(platform, ["inf2.xlarge", "trn1.2xlarge"], message)


def test_efa_without_a_zone_is_refused(platform):
    refused(platform, ["trn1.32xlarge"], r"lives in one zone: say which \(zones\), trn1\.32xlarge")


def test_efa_across_zones_is_refused(platform):
    refused(platform, ["trn1.32xlarge"], "lives in one zone", zones=["use1-az4", "use1-az6"])


def test_a_zone_the_network_does_not_have_is_refused(platform):
    message = "no private subnet in use1-az1; it has use1-az4, use1-az6"
    refused(platform, ["trn1.32xlarge"], message, zones=["use1-az1"])


def test_efa_on_a_type_that_has_none_is_refused(platform):
    refused(platform, ["inf2.xlarge"], r"inf2\.xlarge.*EFA", zones=["use1-az4"], layout="efa")
