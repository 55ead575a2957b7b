"""Roles: a wildcard needs a reason, a service its account, an image its registry."""

from __future__ import annotations

import pytest
from aws_cdk.assertions import Template

from neuron_cdk.roles import Allow, also_allow, pull_image, service_role

QUEUE = "arn:aws:sqs:us-east-1:111122223333:queue"


@pytest.mark.parametrize("resource", ["*", "arn:aws:s3:::bucket/*", "arn:aws:logs:us-east-1:1:log-group:*"])
def test_a_wildcard_without_a_reason_is_refused(resource):
    with pytest.raises(ValueError, match="a wildcard needs a reason") as refusal:
        Allow(["s3:GetObject"], [resource])
    assert resource in str(refusal.value)


def test_the_refusal_names_the_wildcards_alone():
    with pytest.raises(ValueError, match=r"s3:GetObject on arn:aws:s3:::b/\*: a wildcard"):
        Allow(["s3:GetObject"], ["arn:aws:s3:::a/whole", "arn:aws:s3:::b/*"])


def test_a_wildcard_with_a_reason_is_accepted_and_keeps_it():
    allow = Allow(["s3:GetObject"], ["arn:aws:s3:::b/*", "arn:aws:s3:::c"], why="files have whatever names they have")
    assert allow.reasons() == {"arn:aws:s3:::b/*": "files have whatever names they have"}


def test_a_statement_is_as_iam_writes_it():
    condition = {"StringEquals": {"aws:SourceAccount": "1"}}
    assert Allow(["s3:GetObject"], [QUEUE], when=condition).statement() == {
        "Effect": "Allow",
        "Action": ["s3:GetObject"],
        "Resource": [QUEUE],
        "Condition": condition,
    }


def test_a_role_has_its_rights_from_the_start(stack):
    service_role(stack, "Role", service="lambda.amazonaws.com", allow=[Allow(["sqs:SendMessage"], [QUEUE])])
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Role",
        {
            "Policies": [
                {
                    "PolicyName": "Allowed",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE}],
                    },
                }
            ]
        },
    )


def test_rights_can_be_added_later(stack):
    role = service_role(stack, "Role", service="lambda.amazonaws.com", allow=[])
    also_allow(role, Allow(["sqs:SendMessage"], [QUEUE]))
    Template.from_stack(stack).has_resource_properties(
        "AWS::IAM::Policy",
        {"PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE}]}},
    )


@pytest.mark.parametrize("reference", [":2.9.0-sdk2.29.1", "@sha256:" + "0" * 64])
def test_an_images_repository_is_all_that_may_be_pulled(stack, reference):
    image = f"763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference-neuronx{reference}"
    (repository,) = stack.resolve(pull_image(image).on)
    assert repository["Fn::Join"][1][-1] == ":ecr:us-east-1:763104351884:repository/pytorch-inference-neuronx"


@pytest.mark.parametrize("image", ["docker.io/library/python:3.12", "public.ecr.aws/neuron/pytorch:1", "python"])
def test_an_image_elsewhere_is_refused(image):
    with pytest.raises(ValueError, match="not an image in a private ECR registry"):
        pull_image(image)
