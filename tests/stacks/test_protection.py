"""What is kept, encrypted, closed and counted, over every resource of every deployment."""

from __future__ import annotations

import json
import re

import pytest

STATEFUL = ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::GlobalTable")


def test_every_log_group_says_how_long_it_keeps_and_is_under_our_key(each_assembly):
    for name, group in each_assembly.of_type("AWS::Logs::LogGroup"):
        assert group["Properties"]["RetentionInDays"] == 90, name
        assert "StoreKey" in json.dumps(group["Properties"]["KmsKeyId"]), name


def test_what_holds_state_is_retained(each_assembly):
    for name, resource in each_assembly.of_type(*STATEFUL):
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


def test_what_does_not_says_that_it_goes(each_assembly):
    for name, resource in each_assembly.of_type("AWS::Logs::LogGroup", "Custom::NeuronCompiledModel"):
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Delete", "Delete"), name


def test_stacks_that_others_stand_on_cannot_be_deleted_by_mistake(each_assembly):
    protected = {
        name for name, stack in each_assembly.stacks.items() if stack["properties"].get("terminationProtection")
    }
    assert {name.partition("-")[2] for name in protected} == {"Artifacts", "Network", "Pipeline"}


def test_nothing_lets_the_internet_in(each_assembly):
    rules = [rule for _, rule in each_assembly.of_type("AWS::EC2::SecurityGroupIngress")]
    for name, group in each_assembly.of_type("AWS::EC2::SecurityGroup"):
        rules += [{"Properties": rule} for rule in group["Properties"].get("SecurityGroupIngress", ())]
        assert group["Properties"]["SecurityGroupEgress"], f"{name}: without a rule EC2 lets everything out"
    assert not [rule for rule in rules if rule["Properties"].get("CidrIp", "") == "0.0.0.0/0"]
    assert not [rule for rule in rules if "CidrIpv6" in rule["Properties"]]


def test_no_instance_gets_a_public_address(each_assembly):
    for name, subnet in each_assembly.of_type("AWS::EC2::Subnet"):
        assert subnet["Properties"]["MapPublicIpOnLaunch"] is False, name
    for name, template in each_assembly.of_type("AWS::EC2::LaunchTemplate"):
        for interface in template["Properties"]["LaunchTemplateData"]["NetworkInterfaces"]:
            assert interface["AssociatePublicIpAddress"] is False, name


def test_no_template_holds_a_secret(each_assembly):
    secret = re.compile(r"AKIA[0-9A-Z]{16}|-----BEGIN|(?i:password|secret_access_key|api_?key)")
    for name, template in each_assembly.templates.items():
        assert not secret.search(json.dumps(template)), name


def test_no_resource_has_a_physical_name(each_assembly):
    """A name of ours would stop CloudFormation from replacing it, and two deployments from living side by side."""
    kinds = ("Bucket", "Function", "LaunchTemplate", "Role", "StateMachine", "Table", "Topic")
    names = {f"{kind}Name" for kind in kinds}
    for stack, template in each_assembly.templates.items():
        for logical_id, resource in template["Resources"].items():
            if resource["Type"] != "AWS::Lambda::Permission":  # it names the function it is for
                assert not names.intersection(resource.get("Properties", {})), f"{stack}/{logical_id}"


def test_no_stack_is_near_cloudformations_500_resources(each_assembly):
    assert max(len(template["Resources"]) for template in each_assembly.templates.values()) < 250


@pytest.mark.parametrize("deployment", ["sandbox", "production"])
def test_what_can_carry_tags_carries_the_files(assembly, deployment):
    for name, resource in assembly(deployment).of_type("AWS::S3::Bucket", "AWS::EC2::VPC", "AWS::SageMaker::Endpoint"):
        tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}
        assert tags["team"] == "ml-platform", name
