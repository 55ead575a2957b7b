"""What policies decide: cases of the IAM user guide and of this project's own policies, and laws that hold for all.

No embedded AWS is started here.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuron_cdk.local.server.iam.conditions import UnknownPolicyElementError
from neuron_cdk.local.server.iam.policies import Check, Decision, decide, parse, trusts

_ROLE = "arn:aws:iam::111122223333:role/hook"
_CALLER = {
    "arn": _ROLE,
    "session": "arn:aws:sts::111122223333:assumed-role/hook/now",
    "account": "111122223333",
}
_OBJECT = "arn:aws:s3:::models/source/model.onnx"


def allow(actions, resources="*", **condition):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **condition}


def decided(*statements, action="s3:GetObject", resource=_OBJECT, context=None, **more) -> Decision:
    check = Check(action, resource, {key.lower(): value for key, value in (context or {}).items()})
    return decide(check, parse({"Statement": list(statements)}), caller=_CALLER, **more)


def resource_policy(*statements):
    return parse({"Statement": list(statements)})


def test_nothing_is_allowed_that_no_statement_allows():
    decision = decided()
    assert not decision.allowed
    assert not decision.explicit


@pytest.mark.parametrize(
    ("actions", "allowed"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:Get*", True),
        ("s3:GetObjec?", True),
        ("*", True),
        (["s3:PutObject", "s3:GetObject"], True),
        ("s3:GetObjectVersion", False),
        ("s3:GetObj", False),
    ],
)
def test_an_action_is_matched_whole_and_in_any_case(actions, allowed):
    assert decided(allow(actions)).allowed is allowed


@pytest.mark.parametrize(
    ("resources", "allowed"),
    [
        (_OBJECT, True),
        ("arn:aws:s3:::models/*", True),
        ("arn:aws:s3:::models/source/model.onn?", True),
        (["arn:aws:s3:::other/*", "arn:aws:s3:::models/source/*"], True),
        ("arn:aws:s3:::models", False),
        ("arn:aws:s3:::Models/*", False),
        ("arn:aws:*", False),  # a wildcard stays in its part of the ARN
        ("arn:*:s3:::models/*", True),
    ],
)
def test_a_resource_is_matched_part_by_part(resources, allowed):
    assert decided(allow("s3:GetObject", resources)).allowed is allowed


def test_only_a_star_covers_what_has_no_resource():
    assert decided(allow("ec2:DescribeVpcs", "*"), action="ec2:DescribeVpcs", resource="*").allowed
    narrow = allow("ec2:DescribeVpcs", "arn:aws:ec2:us-east-1:111122223333:vpc/*")
    assert not decided(narrow, action="ec2:DescribeVpcs", resource="*").allowed


def test_a_deny_wins_over_every_allow():
    decision = decided(allow("*"), {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::models/*"})
    assert not decision.allowed
    assert decision.explicit


def test_a_deny_of_a_resources_own_policy_wins_too():
    closed = resource_policy(
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::models/*"}
    )
    decision = decide(Check("s3:GetObject", _OBJECT), parse({"Statement": [allow("*")]}), closed, caller=_CALLER)
    assert (decision.allowed, decision.explicit, decision.kind) == (False, True, "resource-based")


def test_all_but_some_actions_and_all_but_some_resources():
    but = {"Effect": "Allow", "NotAction": "s3:Delete*", "NotResource": "arn:aws:s3:::models/secret/*"}
    assert decided(but).allowed
    assert not decided(but, action="s3:DeleteObject").allowed
    assert not decided(but, resource="arn:aws:s3:::models/secret/key").allowed


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"k": "a"}}, {"K": "a"}, True),
        ({"StringEquals": {"k": ["b", "a"]}}, {"k": "a"}, True),
        ({"StringEquals": {"k": "a"}}, {"k": "A"}, False),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringEqualsIfExists": {"k": "a"}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "c"}, True),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringLike": {"k": "requests/*"}}, {"k": "requests/1"}, True),
        ({"StringLike": {"k": "requests/*"}}, {"k": "request"}, False),
        ({"ArnLike": {"k": "arn:aws:s3:::mod*"}}, {"k": "arn:aws:s3:::models"}, True),
        ({"Bool": {"k": "true"}}, {"k": "true"}, True),
        ({"Bool": {"k": True}}, {"k": "true"}, True),
        ({"Bool": {"k": "false"}}, {}, False),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"NumericLessThan": {"k": 1.2}}, {"k": "1.1"}, True),
        ({"NumericLessThan": {"k": 1.2}}, {"k": "1.3"}, False),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, False),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["a", "b"]}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a"}, False),
        ({"StringEquals": {"k": "a"}, "StringLike": {"l": "b*"}}, {"k": "a", "l": "bc"}, True),
        ({"StringEquals": {"k": "${aws:PrincipalAccount}"}}, {"k": "1", "aws:PrincipalAccount": "1"}, True),
        ({"StringEquals": {"k": "${aws:PrincipalTag/team}"}}, {"k": ""}, False),
    ],
)
def test_conditions(condition, context, allowed):
    assert decided(allow("*", Condition=condition), context=context).allowed is allowed


@pytest.mark.parametrize(
    "statement",
    [
        allow("*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
        allow("*", Condition={"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}),
        {"Effect": "Permit", "Action": "*", "Resource": "*"},
        {**allow("*"), "NotPrincipal": {"AWS": "*"}},
    ],
)
def test_what_cannot_be_decided_here_is_said_and_never_guessed(statement):
    with pytest.raises(UnknownPolicyElementError):
        decided(statement, context={"aws:SourceIp": "10.0.0.1", "aws:CurrentTime": "2026-01-01T00:00:00Z"})


def test_a_bucket_that_names_the_role_lets_it_in_without_a_policy_of_its_own():
    bucket = resource_policy({"Effect": "Allow", "Principal": {"AWS": _ROLE}, "Action": "s3:GetObject"})
    check = Check("s3:GetObject", _OBJECT)
    assert decide(check, [], bucket, caller=_CALLER).allowed
    assert not decide(check, [], bucket, caller={**_CALLER, "arn": f"{_ROLE}-2"}).allowed


def test_a_key_that_names_the_account_leaves_it_to_iam():
    key = resource_policy(
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"}
    )
    check = Check("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/1")
    mine = parse({"Statement": [allow("kms:Decrypt")]})
    assert decide(check, mine, key, caller=_CALLER, resource_must=True).allowed
    assert not decide(check, [], key, caller=_CALLER, resource_must=True).allowed


def test_a_key_that_does_not_name_the_account_keeps_its_roles_out():
    key = resource_policy(
        {
            "Effect": "Allow",
            "Principal": {"Service": "logs.us-east-1.amazonaws.com"},
            "Action": "kms:*",
            "Resource": "*",
        }
    )
    check = Check("kms:Decrypt", "arn:aws:kms:us-east-1:111122223333:key/1")
    mine = parse({"Statement": [allow("kms:Decrypt")]})
    decision = decide(check, mine, key, caller=_CALLER, resource_must=True)
    assert (decision.allowed, decision.kind) == (False, "resource-based")


def test_a_service_takes_on_the_roles_that_trust_it():
    trust = parse(
        {
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
            }
        }
    )
    here = {"aws:sourceaccount": "111122223333"}
    assert trusts(trust, "sagemaker.amazonaws.com", here)
    assert not trusts(trust, "sagemaker.amazonaws.com", {"aws:sourceaccount": "999999999999"})
    assert not trusts(trust, "lambda.amazonaws.com", here)


_ACTIONS = st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:*", "*", "kms:Decrypt"])
_RESOURCES = st.sampled_from([_OBJECT, "arn:aws:s3:::models/*", "arn:aws:s3:::other/*", "*"])
_STATEMENTS = st.lists(
    st.builds(
        lambda effect, action, resource: {"Effect": effect, "Action": action, "Resource": resource},
        st.sampled_from(["Allow", "Deny"]),
        _ACTIONS,
        _RESOURCES,
    ),
    max_size=6,
)


@given(_STATEMENTS, st.randoms())
def test_the_order_of_statements_decides_nothing(statements, random):
    shuffled = list(statements)
    random.shuffle(shuffled)
    assert decided(*statements).allowed == decided(*shuffled).allowed


@given(_STATEMENTS, _ACTIONS, _RESOURCES)
def test_one_more_deny_never_allows(statements, action, resource):
    more = {"Effect": "Deny", "Action": action, "Resource": resource}
    assert decided(*statements).allowed >= decided(*statements, more).allowed


@given(_STATEMENTS, _ACTIONS, _RESOURCES)
def test_one_more_allow_never_refuses(statements, action, resource):
    assert decided(*statements).allowed <= decided(*statements, allow(action, resource)).allowed
