"""Logical ids of what holds state, and of what CloudFormation cannot move. Changing one is a breaking change."""

from __future__ import annotations

import pytest

STATE = {
    "AWS::KMS::Key": {"StoreKey7A3C02BD"},
    "AWS::S3::Bucket": {"StoreBucket4FBDE984", "StoreAccessLogF76F7953"},
    "AWS::DynamoDB::GlobalTable": {"StoreRegistryAE5F1B22"},
    "AWS::EC2::VPC": {"NetworkVpcFAC8F4A5"},
}
# What a queue of an endpoint holds, and what is captured of it, are data of users, too.
ENDPOINT_BUCKETS = {"EndpointAsyncBucket129ADA93", "EndpointCaptureBucketAEA07D1F"}
# Since 0.1.0. Another id would be a second endpoint beside the first.
ENDPOINT = {
    "Custom::NeuronCompiledModel": "Model0301700E",
    "AWS::SageMaker::Model": "EndpointModel0F230181",
    "AWS::SageMaker::EndpointConfig": "EndpointConfiguration396FE40F",
    "AWS::SageMaker::Endpoint": "EndpointEEF1FD8F",
    "AWS::EC2::SecurityGroup": "EndpointSecurityGroupD39BAD7A",
}
PRIVATE_SUBNETS = (
    "NetworkPrivate1SubnetA7C71D78",
    "NetworkPrivate2Subnet6855F6FE",
    "NetworkPrivate3SubnetC8443DE2",
)
PUBLIC_SUBNETS = (
    "NetworkPublic1Subnet2EC4E260",
    "NetworkPublic2Subnet54769619",
    "NetworkPublic3SubnetABB46925",
)


def ids(assembly, kind: str) -> set[str]:
    return {name.partition("/")[2] for name, _ in assembly.of_type(kind)}


def test_key_buckets_registry_and_vpc_keep_their_ids(each_assembly):
    found = {kind: ids(each_assembly, kind) for kind in STATE}
    found["AWS::S3::Bucket"] -= ENDPOINT_BUCKETS
    assert found == STATE


def test_an_endpoints_buckets_keep_their_ids(assembly):
    assert ids(assembly("endpoints"), "AWS::S3::Bucket") >= ENDPOINT_BUCKETS


@pytest.mark.parametrize("deployment", ["local", "sandbox", "production"])
def test_endpoints_keep_their_ids(assembly, deployment):
    apart = [name for name in assembly(deployment).templates if "-Endpoint-" in name]
    assert apart
    for name in apart:
        resources = assembly(deployment).templates[name]["Resources"]
        assert {kind: resources[logical_id]["Type"] for kind, logical_id in ENDPOINT.items()} == {
            kind: kind for kind in ENDPOINT
        }


def test_subnets_keep_their_ids(assembly):
    assert ids(assembly("local"), "AWS::EC2::Subnet") == set(PRIVATE_SUBNETS[:2])
    assert ids(assembly("sandbox"), "AWS::EC2::Subnet") == {*PRIVATE_SUBNETS[:2], *PUBLIC_SUBNETS[:2]}
    assert ids(assembly("production"), "AWS::EC2::Subnet") == {*PRIVATE_SUBNETS, *PUBLIC_SUBNETS}


def test_the_function_behind_the_service_token_keeps_its_id(each_assembly):
    tokens = {
        resource["Properties"]["ServiceToken"]["Fn::GetStackOutput"]["OutputName"]
        for _, resource in each_assembly.of_type("Custom::NeuronCompiledModel")
    }
    assert len(tokens) == 1
    (pipeline,) = (t for name, t in each_assembly.templates.items() if name.endswith("-Pipeline"))
    assert pipeline["Outputs"][tokens.pop()]["Value"] == {
        "Fn::GetAtt": ["PipelineCompiledModelFunction9F52B13A", "Arn"]
    }


def test_stacks_are_named_after_the_deployment_and_what_they_hold(assembly):
    assert set(assembly("sandbox").templates) == {
        "sandbox-Artifacts",
        "sandbox-Network",
        "sandbox-Pipeline",
        "sandbox-Models",
        "sandbox-Endpoint-embed",
        "sandbox-Fleet-pretrain",
        "sandbox-Fleet-serve",
    }
