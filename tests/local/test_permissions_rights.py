"""What a run of the tests says of grants: which were used, which were not, and which of those have no reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local import rights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reports of two servers, on which roles of one kind used different grants."""

    def role(logical_id: str, used: list[str], unused: list[str]) -> dict[str, Any]:
        return {"logical_id": logical_id, "used": used, "unused": unused, "refused": []}

    one = [
        role("PipelineBeginRole5DC6B4C2", ["s3:GetObject on a"], ["s3:PutObject on b", "xray:PutTraceSegments on *"])
    ]
    other = [role("PipelineBeginRole5DC6B4C2", [], ["s3:GetObject on a", "s3:DeleteObject on c"])]
    for name, roles in (("one", one), ("other", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(roles))
    return tmp_path


def test_a_grant_that_one_role_of_a_kind_used_is_used(folder):
    kind = rights.read(folder)["PipelineBeginRole"]
    assert kind.used == {"s3:GetObject on a"}
    assert kind.unused == {"s3:PutObject on b", "s3:DeleteObject on c", "xray:PutTraceSegments on *"}


def test_what_nobody_has_a_reason_for_is_told(folder):
    assert rights.unexplained(rights.read(folder)) == [
        "PipelineBeginRole: s3:DeleteObject on c",
        "PipelineBeginRole: s3:PutObject on b",
    ]


def test_an_action_that_is_used_on_one_thing_explains_no_grant_on_more(tmp_path: Path) -> None:
    bucket = "arn:aws:s3:::rel-artifacts-storebucket4fbde984-be5003c9bf66c"
    used, unused = f"s3:GetObject on {bucket}/artifacts/*/*/golden.json", f"s3:GetObject on {bucket}/artifacts/*"
    role = {"logical_id": "EndpointReleasesStepRole5DC6B4C2", "used": [used], "unused": [unused], "refused": []}
    (tmp_path / "one.json").write_text(json.dumps([role]))

    assert rights.unexplained(rights.read(tmp_path)) == ["EndpointReleasesStepRole: s3:GetObject on s3:*/artifacts/*"]


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        ("ec2:DescribeImages on *", "*"),
        ("s3:GetObject on arn:aws:s3:::one-storebucket4fbde984-be5003c9bf66c/artifacts/*", "s3:*/artifacts/*"),
        ("s3:ListBucket on arn:aws:s3:::one-storebucket4fbde984-be5003c9bf66c", "s3:*"),
        ("s3:GetObject on arn:aws:s3:::models/minilm/*", "s3:a source"),
        (f"s3:GetObject on arn:aws:s3:::x-be5003c9bf66c/artifacts/{'ab' * 32}/*", "s3:*/artifacts/*/*"),
        ("logs:PutLogEvents on arn:aws:logs:us-east-1:1:log-group:/aws/one:*", "logs:log-group:*:*"),
        ("ec2:X on arn:aws:ec2:us-east-1:1:subnet/subnet-1, arn:aws:ec2:us-east-1:1:subnet/subnet-2", "ec2:subnet/*"),
        ("sqs:SendMessage on arn:aws:sqs:us-east-1:1:queue", "sqs:*"),
        (
            "autoscaling:X on arn:aws:autoscaling:us-east-1:1:autoScalingGroup:*:autoScalingGroupName/*",
            "autoscaling:autoScalingGroup:*/*",
        ),
    ],
)
def test_a_grant_is_said_without_the_names_that_each_stack_has_for_itself(grant: str, said: str) -> None:
    assert rights.general(grant) == f"{grant.partition(' on ')[0]} on {said}"
