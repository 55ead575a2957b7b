"""A fleet: interfaces, placement, launch template, how instances are bought and counted, what is refused."""

from __future__ import annotations

import json

import pytest

from neuron_cdk import NeuronFleet, spec

ONE_GROUP = [
    "trn1-efa",
    "trn1n-efa-only",
    "trn1-no-efa",
    "one-type",
    "two-types",
    "spot",
    "pinned",
    "scaled",
    "reserved",
    "reserved-only",
    "old-chip",
    "warm",
    "scheduled",
    "queue",
]
FLEETS = [*ONE_GROUP, "fallback", "gang", "serving", "serving-tls"]


@pytest.fixture(params=FLEETS)
def fleet(request) -> str:
    return request.param


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
    interfaces = cards(launch("trn1n-efa-only"))
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
    (group_id,) = (key for key in resources(fleet, "AWS::EC2::SecurityGroup") if "LoadBalancer" not in key)
    for interface in launch(fleet)["NetworkInterfaces"]:
        assert interface["Groups"] == [{"Fn::GetAtt": [group_id, "GroupId"]}]


def test_a_capacity_block_is_placed_already(launches):
    main, block = launches("gang")
    assert "Placement" not in block
    assert {key: main[key] for key in main if key != "Placement"} == block


@pytest.mark.parametrize("name", ["trn1-efa", "trn1n-efa-only"])
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


def test_nothing_from_outside_gets_into_any_instance(fleet, resources):
    """By rules of their own come only members, for EFA, and the fleet's load balancer."""
    groups = resources(fleet, "AWS::EC2::SecurityGroup")
    (instances,) = (key for key in groups if "LoadBalancer" not in key)
    assert "SecurityGroupIngress" not in groups[instances]
    assert [rule["FromPort"] for rule in groups[instances]["SecurityGroupEgress"]] == [443]
    let_in = {
        rule["SourceSecurityGroupId"]["Fn::GetAtt"][0]
        for rule in resources(fleet, "AWS::EC2::SecurityGroupIngress").values()
        if rule["GroupId"]["Fn::GetAtt"][0] == instances
    }
    assert let_in <= set(groups)


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


# -- rights --------------------------------------------------------------------------------------------------------


def rights(only_role, statements) -> dict[str, dict]:
    return {action: statement for statement in statements(only_role) for action in statement["Action"]}


BARE = {
    "autoscaling:CompleteLifecycleAction",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:RecordLifecycleActionHeartbeat",
    "cloudwatch:PutMetricData",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


@pytest.mark.parametrize("name", ONE_GROUP)
def test_instances_publish_their_metrics_say_that_they_are_ready_and_are_managed(name, instance_role, statements):
    assert set(rights(instance_role(name), statements)) == BARE


def test_instances_that_serve_read_one_artifact_and_pull_one_image_on_top(instance_role, statements):
    allowed = rights(instance_role("serving"), statements)
    assert set(allowed) - BARE == {
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "ecr:GetDownloadUrlForLayer",
        "kms:Decrypt",
        "s3:GetObject",
        "s3:ListBucket",
    }
    assert "ArtifactKey" in json.dumps(allowed["s3:GetObject"]["Resource"])
    (repository,) = allowed["ecr:BatchGetImage"]["Resource"]
    assert "repository/pytorch-inference-neuronx" in json.dumps(repository)


def test_metrics_go_to_the_fleets_namespace_only(fleet, instance_role, statements):
    allowed = rights(instance_role(fleet), statements)
    assert allowed["cloudwatch:PutMetricData"]["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "NeuronCdk/Fleet"}
    }


def test_lifecycle_actions_are_completed_in_the_fleets_own_groups_only(fleet, instance_role, statements):
    allowed = rights(instance_role(fleet), statements)
    assert allowed["autoscaling:CompleteLifecycleAction"]["Condition"] == {
        "StringEquals": {"autoscaling:ResourceTag/neuron-cdk:fleet": f"{fleet}/Fleet"}
    }


# -- refusals ------------------------------------------------------------------------------------------------------


def refused(platform, types, message, **options):
    options = {"size": spec.Size(min=0, max=1), "purpose": "training", **options}
    with pytest.raises(ValueError, match=message):
        NeuronFleet(platform.stack, "Fleet", vpc=platform.vpc, store=platform.store, instance_types=types, **options)


def test_two_kinds_of_chip_are_refused(platform):
    message = r"NCDK-TYPE-007 instance_types\[1\]: trn1\.2xlarge and inf2\.xlarge have different accelerators"
    refused(platform, ["inf2.xlarge", "trn1.2xlarge"], message)


def test_efa_without_a_zone_is_refused(platform):
    refused(platform, ["trn1.32xlarge"], r"lives in one zone: say which \(zones\), trn1\.32xlarge")


def test_efa_across_zones_is_refused(platform):
    refused(platform, ["trn1.32xlarge"], "lives in one zone", zones=["use1-az4", "use1-az6"])


def test_a_zone_the_network_does_not_have_is_refused(platform):
    message = "no private subnet in use1-az1; it has use1-az4, use1-az6"
    refused(platform, ["trn1.32xlarge"], message, zones=["use1-az1"])


def test_efa_on_a_type_that_has_none_is_refused(platform):
    refused(platform, ["inf2.xlarge"], r"inf2\.xlarge.*EFA", zones=["use1-az4"], efa=spec.Efa(layout="efa"))
