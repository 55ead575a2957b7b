"""What outlives every deployment: key, buckets, registry."""

from __future__ import annotations

import json

import pytest
from aws_cdk.assertions import Match


@pytest.fixture(scope="session")
def key_policy(only):
    """The statements of the key's policy, by their id."""
    policy = only("platform", "AWS::KMS::Key")["KeyPolicy"]
    return {statement.get("Sid", "account"): statement for statement in policy["Statement"]}


def test_the_key_is_turned_every_year(only):
    assert only("platform", "AWS::KMS::Key")["EnableKeyRotation"] is True


def test_the_key_serves_the_account_its_logs_and_auto_scaling(key_policy):
    assert set(key_policy) == {"account", "LogGroupsOfThisAccount", "VolumesOfAutoScaling", "GrantsOfAutoScaling"}


def test_cloudwatch_logs_uses_the_key_for_groups_of_this_account(key_policy):
    condition = key_policy["LogGroupsOfThisAccount"]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert condition["Fn::Join"][1][-1] == ":logs:us-east-1:111122223333:log-group:*"


@pytest.mark.parametrize("sid", ["VolumesOfAutoScaling", "GrantsOfAutoScaling"])
def test_auto_scalings_own_role_may_use_the_key_and_nobody_else_by_that_statement(key_policy, sid):
    """A statement for the account's root would give a role nothing that has no IAM policy on the key."""
    assert key_policy[sid]["Principal"] == {"AWS": "*"}
    (pattern,) = key_policy[sid]["Condition"]["ArnLike"].values()
    assert pattern["Fn::Join"][1][-1] == (
        ":iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling*"
    )


def test_auto_scaling_makes_grants_for_aws_resources_only(key_policy):
    grants = key_policy["GrantsOfAutoScaling"]
    assert grants["Action"] == "kms:CreateGrant"
    assert grants["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_artifacts_are_versioned_logged_and_under_our_key(template):
    template("platform").has_resource_properties(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": Match.any_value(),
                        },
                    }
                ]
            },
            "VersioningConfiguration": {"Status": "Enabled"},
            "LoggingConfiguration": {
                "DestinationBucketName": {"Ref": Match.string_like_regexp("AccessLog")},
                "LogFilePrefix": "artifacts/",
            },
        },
    )


def test_no_bucket_can_be_public_or_take_acls(resources):
    for bucket in resources("platform", "AWS::S3::Bucket").values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_no_bucket_answers_without_tls(resources):
    buckets = set(resources("platform", "AWS::S3::Bucket"))
    closed = {
        policy["Bucket"]["Ref"]
        for policy in resources("platform", "AWS::S3::BucketPolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Action"] == "s3:*"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert closed == buckets


def test_artifacts_never_expire_by_themselves(resources):
    (bucket,) = (b for key, b in resources("platform", "AWS::S3::Bucket").items() if "StoreBucket" in key)
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert "ExpirationInDays" not in rule
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}


def test_nothing_is_left_of_what_was_deleted_thirty_days_ago(resources):
    """Neither the version nor, once it is the only one, the mark of its deletion."""
    (bucket,) = (b for key, b in resources("platform", "AWS::S3::Bucket").items() if "StoreBucket" in key)
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpiredObjectDeleteMarker"] is True
    assert "Prefix" not in rule


def test_access_logs_are_delivered_by_s3_for_our_bucket_alone(template):
    template("platform").has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": Match.object_like(
                {
                    "Statement": Match.array_with(
                        [
                            Match.object_like(
                                {
                                    "Action": "s3:PutObject",
                                    "Principal": {"Service": "logging.s3.amazonaws.com"},
                                    "Condition": Match.object_like(
                                        {"StringEquals": {"aws:SourceAccount": "111122223333"}}
                                    ),
                                }
                            )
                        ]
                    )
                }
            )
        },
    )


def test_the_registry_is_keyed_by_artifact_under_our_key_and_can_be_restored(only):
    table = only("platform", "AWS::DynamoDB::GlobalTable")
    assert table["KeySchema"] == [{"AttributeName": "artifact_key", "KeyType": "HASH"}]
    (replica,) = table["Replicas"]
    assert "StoreKey" in json.dumps(replica["SSESpecification"])
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert replica["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("kind", ["AWS::KMS::Key", "AWS::S3::Bucket", "AWS::DynamoDB::GlobalTable"])
def test_what_holds_state_outlives_its_stack(template, kind):
    found = template("platform").find_resources(kind)
    assert found
    for resource in found.values():
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
