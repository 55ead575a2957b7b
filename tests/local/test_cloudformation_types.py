"""Stacks of the types that the embedded AWS adds: created, updated, rolled back, deleted by CloudFormation itself."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

Clients = Callable[[str], Any]
Resources = dict[str, Any]
Operate = Callable[..., str]


@pytest.fixture
def physical_id(client: Clients) -> Callable[[str, str], str]:
    def find(stack: str, logical_id: str) -> str:
        found = client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    return find


def _network() -> Resources:
    group = {"Fn::GetAtt": ["Group", "GroupId"]}
    return {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
        "Subnet": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24", "AvailabilityZoneId": "use1-az5"},
        },
        "Address": {
            "Type": "AWS::EC2::EIP",
            "Properties": {"Domain": "vpc", "Tags": [{"Key": "team", "Value": "ml"}]},
        },
        "Nat": {
            "Type": "AWS::EC2::NatGateway",
            "Properties": {"SubnetId": {"Ref": "Subnet"}, "AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}},
        },
        "Placement": {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "cluster"}},
        "Group": {
            "Type": "AWS::EC2::SecurityGroup",
            "Properties": {
                "GroupDescription": "EFA",
                "VpcId": {"Ref": "Vpc"},
                "SecurityGroupEgress": [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}],
            },
        },
        "In": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {"GroupId": group, "IpProtocol": "-1", "SourceSecurityGroupId": group},
        },
        "Out": {
            "Type": "AWS::EC2::SecurityGroupEgress",
            "Properties": {"GroupId": group, "IpProtocol": "-1", "DestinationSecurityGroupId": group},
        },
        "FlowLog": {
            "Type": "AWS::EC2::FlowLog",
            "Properties": {
                "ResourceId": {"Ref": "Vpc"},
                "ResourceType": "VPC",
                "TrafficType": "REJECT",
                "LogDestinationType": "s3",
                "LogDestination": "arn:aws:s3:::flow-logs",
            },
        },
    }


def test_network_types_live_and_go_with_their_stack(client: Clients, operate: Operate, physical_id: Any) -> None:
    ec2 = client("ec2")

    assert operate("create", "network", _network()) == "CREATE_COMPLETE"

    (address,) = ec2.describe_addresses()["Addresses"]
    assert {"Key": "team", "Value": "ml"} in address["Tags"]
    (subnet,) = ec2.describe_subnets(SubnetIds=[physical_id("network", "Subnet")])["Subnets"]
    assert (subnet["AvailabilityZone"], subnet["AvailabilityZoneId"]) == ("us-east-1e", "use1-az5")
    group_id = physical_id("network", "Group")
    (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert [pair["GroupId"] for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]] == [group_id]
    assert [rule["IpProtocol"] for rule in group["IpPermissionsEgress"]] == ["tcp", "-1"]
    (log,) = ec2.describe_flow_logs()["FlowLogs"]
    assert (log["ResourceId"], log["TrafficType"]) == (physical_id("network", "Vpc"), "REJECT")
    nat = physical_id("network", "Nat")

    assert operate("delete", "network") == "DELETE_COMPLETE"

    assert ec2.describe_addresses()["Addresses"] == []
    assert ec2.describe_placement_groups()["PlacementGroups"] == []
    assert ec2.describe_flow_logs()["FlowLogs"] == []
    assert ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"] == "deleted"


def test_a_replaced_placement_group_has_a_new_name(client: Clients, operate: Operate, physical_id: Any) -> None:
    resources = {"Placement": {"Type": "AWS::EC2::PlacementGroup", "Properties": {"Strategy": "cluster"}}}
    operate("create", "placement", resources)
    before = physical_id("placement", "Placement")
    resources["Placement"]["Properties"] = {"Strategy": "spread"}

    assert operate("update", "placement", resources) == "UPDATE_COMPLETE"

    assert physical_id("placement", "Placement") != before
    (group,) = client("ec2").describe_placement_groups()["PlacementGroups"]
    assert group["Strategy"] == "spread"
    operate("delete", "placement")


@pytest.mark.parametrize("zone", ["usw2-az1", "use1-az0", "us-east-1a"])
def test_a_zone_id_of_another_region_is_refused(zone: str, operate: Operate, reason: Any) -> None:
    resources = {name: _network()[name] for name in ("Vpc", "Subnet")}
    resources["Subnet"]["Properties"]["AvailabilityZoneId"] = zone

    assert operate("create", f"zone-{zone}", resources) == "ROLLBACK_COMPLETE"

    assert f"Value ({zone}) for parameter availabilityZoneId is invalid" in reason(f"zone-{zone}", "Subnet")
    operate("delete", f"zone-{zone}")


def test_neuron_ami_parameters_resolve_to_an_image(client: Clients, eventually: Any) -> None:
    name = "/aws/service/neuron/dlami/base/ubuntu-24.04/latest/image_id"
    template = {
        "Parameters": {"Ami": {"Type": "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>", "Default": name}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"Image": {"Value": {"Ref": "Ami"}}},
    }
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName="ami", TemplateBody=json.dumps(template))

    outputs = eventually(lambda: cloudformation.describe_stacks(StackName="ami")["Stacks"][0].get("Outputs"))

    image = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    assert image.startswith("ami-")
    assert outputs[0]["OutputValue"] == image
    cloudformation.delete_stack(StackName="ami")


def test_an_unknown_type_creates_nothing(client: Clients, code_of: Any) -> None:
    template = {
        "Resources": {
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "never-made"}},
            "Pipeline": {"Type": "AWS::SageMaker::Pipeline"},
        }
    }

    refused = code_of(client("cloudformation").create_stack, StackName="unknown", TemplateBody=json.dumps(template))

    assert refused.message == "Template format error: Unrecognized resource types: [AWS::SageMaker::Pipeline]"
    assert "never-made" not in [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]]


def _scaling(capacity: str = "4", target: int = 10) -> Resources:
    return {
        "Target": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "endpoint/any/variant/Main",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "MinCapacity": "1",
                "MaxCapacity": capacity,
            },
        },
        "Policy": {
            "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
            "Properties": {
                "PolicyName": "concurrency",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": {"Ref": "Target"},
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": target,
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
                    },
                },
            },
        },
    }


def test_scaling_types_are_registered_changed_and_removed(client: Clients, operate: Operate) -> None:
    autoscaling = client("application-autoscaling")
    operate("create", "scaling", _scaling())
    (target,) = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)

    assert operate("update", "scaling", _scaling(capacity="8", target=20)) == "UPDATE_COMPLETE"

    (changed,) = autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (changed["MaxCapacity"], changed["ScalableTargetARN"]) == (8, target["ScalableTargetARN"])
    (policy,) = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 20
    assert operate("delete", "scaling") == "DELETE_COMPLETE"
    assert autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_an_impossible_capacity_fails_the_stack_with_the_services_words(operate: Operate, reason: Any) -> None:
    assert operate("create", "impossible", _scaling(capacity="0")) == "ROLLBACK_COMPLETE"

    assert reason("impossible", "Target") == "Maximum capacity cannot be less than minimum capacity"
    operate("delete", "impossible")


@pytest.fixture
def serving(operate: Operate, artifact: str, endpoint_resources: Any) -> Any:
    """A stack with an endpoint in service; its resources."""
    resources = endpoint_resources(artifact)
    assert operate("create", "serving", resources) == "CREATE_COMPLETE"
    yield resources
    assert operate("delete", "serving") == "DELETE_COMPLETE"


def _invoke(client: Clients, endpoint: str) -> int:
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, ContentType="application/json", Body=json.dumps({"inputs": {"bytes": [[0] * 2048]}})
    )
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def test_a_changed_model_moves_the_endpoint_over_and_leaves_no_old_one(
    client: Clients, operate: Operate, serving: Resources, physical_id: Any
) -> None:
    endpoint = physical_id("serving", "Endpoint").rpartition("/")[2]
    before = client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    changed = copy.deepcopy(serving)
    changed["Model"]["Properties"]["PrimaryContainer"]["Environment"] = {"VERSION": "2"}

    assert operate("update", "serving", changed) == "UPDATE_COMPLETE"

    after = client("sagemaker").describe_endpoint(EndpointName=endpoint)
    assert after["EndpointConfigName"] != before
    assert len(client("sagemaker").list_models(NameContains="serving")["Models"]) == 1
    assert len(client("sagemaker").list_endpoint_configs(NameContains="serving")["EndpointConfigs"]) == 1
    assert _invoke(client, endpoint) == 200


def test_a_model_that_cannot_serve_rolls_the_stack_back(
    client: Clients, operate: Operate, serving: Resources, physical_id: Any, reason: Any
) -> None:
    endpoint = physical_id("serving", "Endpoint").rpartition("/")[2]
    before = client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    broken = copy.deepcopy(serving)
    source = broken["Model"]["Properties"]["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    source["S3Uri"] = "s3://models/nothing/"

    assert operate("update", "serving", broken) == "UPDATE_ROLLBACK_COMPLETE"

    assert "Failed to download model data for production variant Main" in reason("serving", "Endpoint")
    assert client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"] == before
    assert len(client("sagemaker").list_models(NameContains="serving")["Models"]) == 1
    assert _invoke(client, endpoint) == 200


def test_an_update_is_taken_back_when_a_later_resource_fails(
    client: Clients, operate: Operate, serving: Resources, physical_id: Any
) -> None:
    endpoint = physical_id("serving", "Endpoint").rpartition("/")[2]
    before = client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    changed = copy.deepcopy(serving)
    changed["Model"]["Properties"]["PrimaryContainer"]["Environment"] = {"VERSION": "2"}
    changed |= _scaling(capacity="0")
    changed["Target"]["DependsOn"] = "Endpoint"

    assert operate("update", "serving", changed) == "UPDATE_ROLLBACK_COMPLETE"

    assert client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"] == before
    assert _invoke(client, endpoint) == 200


def test_a_failed_first_deploy_leaves_nothing_behind(
    client: Clients, operate: Operate, endpoint_resources: Any, reason: Any
) -> None:
    assert operate("create", "never", endpoint_resources("s3://models/nothing/")) == "ROLLBACK_COMPLETE"

    assert "did not stabilize: Failed to download model data" in reason("never", "Endpoint")
    assert client("sagemaker").list_endpoints(NameContains="never")["Endpoints"] == []
    assert client("sagemaker").list_models(NameContains="never")["Models"] == []
    operate("delete", "never")


def test_a_property_the_api_does_not_have_fails_the_resource(
    operate: Operate, endpoint_resources: Any, reason: Any
) -> None:
    resources = {"Model": endpoint_resources("s3://models/x/")["Model"]}
    resources["Model"]["Properties"]["PrimaryContainer"]["Immage"] = "x"

    assert operate("create", "misspelt", resources) == "ROLLBACK_COMPLETE"

    assert "Unknown member 'primaryContainer.immage'" in reason("misspelt", "Model")
    operate("delete", "misspelt")
