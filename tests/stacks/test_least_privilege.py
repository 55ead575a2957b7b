"""Who may do what, over every role of every deployment."""

from __future__ import annotations

import json
import re

import pytest

# Resource policies, where AWS itself writes wildcards: a key's "kms:*" for the account, "*" for the key itself.
ROLES = ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")


def test_no_role_may_do_a_wildcard_of_actions(each_assembly):
    for name, statement in each_assembly.statements():
        assert statement["Effect"] == "Allow", name
        assert "NotAction" not in statement, name
        assert not [action for action in statement["Action"] if "*" in action], name


def test_every_wildcard_resource_has_a_reason_on_its_role(each_assembly):
    reasons = {(path, finding): reason for path, finding, reason in each_assembly.acknowledged()}
    paths = each_assembly.paths()
    for name, statement in each_assembly.statements():
        for resource in statement["Resource"]:
            if "*" in json.dumps(resource):
                role = re.sub(r"(/DefaultPolicy)?/Resource$", "", paths[name])
                assert reasons.get((role, f"AwsSolutions-IAM5[Resource::{spelled(resource)}]")), (name, resource)


def spelled(arn) -> str:
    """An ARN as cdk-nag writes it."""
    match arn:
        case str():
            return arn
        case {"Fn::Join": [separator, parts]}:
            return separator.join(spelled(part) for part in parts)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
    return json.dumps(arn, separators=(",", ":"))


def test_no_role_has_a_policy_that_somebody_else_writes(each_assembly):
    assert not list(each_assembly.of_type("AWS::IAM::ManagedPolicy"))
    for name, role in each_assembly.of_type("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role["Properties"], name


def test_each_role_is_for_one_aws_service(each_assembly):
    for name, role in each_assembly.of_type("AWS::IAM::Role"):
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"], name
        assert isinstance(statement["Principal"]["Service"], str), name


@pytest.mark.parametrize("service", ["sagemaker", "states", "vpc-flow-logs"])
def test_services_that_act_for_many_accounts_take_roles_on_for_this_one_only(each_assembly, service):
    account = {stack["environment"].split("/")[2] for stack in each_assembly.stacks.values()}
    for name, role in each_assembly.of_type("AWS::IAM::Role"):
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        if statement["Principal"]["Service"] == f"{service}.amazonaws.com":
            assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": account.copy().pop()}}, name


def test_a_role_is_handed_on_to_one_service_by_name(each_assembly):
    for name, statement in each_assembly.statements():
        if "iam:PassRole" in statement["Action"]:
            assert "iam:PassedToService" in statement["Condition"]["StringEquals"], name
            assert not [resource for resource in statement["Resource"] if "*" in json.dumps(resource)], name


def test_a_function_answers_the_rule_it_belongs_to_and_nobody_else(each_assembly):
    for name, permission in each_assembly.of_type("AWS::Lambda::Permission"):
        assert permission["Properties"]["Principal"] == "events.amazonaws.com", name
        assert "Fn::GetAtt" in permission["Properties"]["SourceArn"], name


def test_policies_fit_iams_limits(each_assembly):
    """10,240 characters over all inline policies of a role; a reference resolves to fewer than it takes here."""
    sizes: dict[str, int] = {}
    for name, statement in each_assembly.statements():
        role = re.sub(r"(DefaultPolicy)?[0-9A-F]{8}$", "", name)
        sizes[role] = sizes.get(role, 0) + len(json.dumps(statement, separators=(",", ":")))
    assert max(sizes.values()) < 10_240, sizes
