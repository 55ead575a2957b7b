"""What boto3 raises becomes one sentence: what is missing, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from neuron_cdk.doctor.aws import CannotAskError, DeniedError, FailedError, Quota, Zone
from neuron_cdk.doctor.boto import BotoAws, answered


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> BotoAws:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    return BotoAws(boto3.Session("key", "secret"), "eu-west-1")


@pytest.fixture
def stubbed(aws: BotoAws) -> Callable[..., Stubber]:
    def stub(service: str, region: str = "eu-west-1") -> Stubber:
        stubber = Stubber(aws.client(service, region))
        stubber.activate()
        return stubber

    return stub


def test_who_asks_and_which_regions_are_asked_where_every_account_may(aws: BotoAws, stubbed: Any) -> None:
    answer = {"Account": "111122223333", "UserId": "U", "Arn": "arn:aws:iam::111122223333:user/u"}
    stubbed("sts", "us-east-1").add_response("get_caller_identity", answer)
    regions = {"Regions": [{"RegionName": "eu-west-1", "OptInStatus": "opted-in", "Endpoint": "e"}]}
    stubbed("ec2", "us-east-1").add_response("describe_regions", regions, {"AllRegions": True})

    assert (aws.account(), aws.region_status()) == ("111122223333", "opted-in")


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_a_refusal_names_the_action(code: str, aws: BotoAws, stubbed: Any) -> None:
    stubbed("service-quotas").add_client_error("get_service_quota", code)

    with pytest.raises(DeniedError, match="servicequotas:GetServiceQuota"):
        aws.quota("ec2", "L-2C3B7624")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredToken", "the credentials have expired"),
        ("ExpiredTokenException", "the credentials have expired"),
        ("InvalidClientTokenId", "AWS does not know the credentials"),
        ("AuthFailure", "AWS does not know the credentials"),
    ],
)
def test_credentials_that_are_no_good(code: str, says: str, aws: BotoAws, stubbed: Any) -> None:
    stubbed("sts", "us-east-1").add_client_error("get_caller_identity", code)

    with pytest.raises(CannotAskError, match=says) as caught:
        aws.account()
    assert "AWS_PROFILE" in caught.value.fix


def test_any_other_error_is_told_in_awss_words(aws: BotoAws, stubbed: Any) -> None:
    stubbed("ec2").add_client_error("describe_images", "Unavailable", "try later")

    with pytest.raises(FailedError, match="AWS answered Unavailable: try later"):
        aws.image("ami-1")


def test_no_credentials_at_all(aws: BotoAws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    with pytest.raises(CannotAskError, match="there are no credentials"):
        BotoAws(boto3.Session(), "eu-west-1").account()


def test_no_way_to_aws() -> None:
    aws = BotoAws(boto3.Session("key", "secret"), "eu-west-1", endpoint="http://127.0.0.1:1")

    with pytest.raises(CannotAskError, match=r"no way to AWS: .*http://127\.0\.0\.1:1"):
        aws.account()


def test_a_profile_that_is_not_there() -> None:
    with pytest.raises(CannotAskError, match="nobody"), answered("sts:GetCallerIdentity"):
        raise exceptions.ProfileNotFound(profile="nobody")


@pytest.mark.parametrize(
    "error", [ResponseParserError("invalid XML:\n<html>"), KeyError("Account"), ValueError("Invalid endpoint: x")]
)
def test_an_answer_that_is_not_awss(error: Exception) -> None:
    with pytest.raises(CannotAskError, match="no answer of AWS's") as it, answered("sts:GetCallerIdentity"):
        raise error
    assert str(it.value).startswith("what came for sts:GetCallerIdentity is")
    assert "\n" not in str(it.value)
    assert "AWS_ENDPOINT_URL" in it.value.fix


def test_a_quota_that_was_never_applied_has_its_default(aws: BotoAws, stubbed: Any) -> None:
    quotas = stubbed("service-quotas")
    quotas.add_client_error("get_service_quota", "NoSuchResourceException")
    quotas.add_response("get_aws_default_service_quota", {"Quota": {"QuotaName": "All Trn", "Value": 0.0}})

    assert aws.quota("ec2", "L-2C3B7624") == Quota("All Trn", 0.0)


def test_an_unknown_quota_is_none(aws: BotoAws, stubbed: Any) -> None:
    quotas = stubbed("service-quotas")
    quotas.add_client_error("get_service_quota", "NoSuchResourceException")
    quotas.add_client_error("get_aws_default_service_quota", "NoSuchResourceException")

    assert aws.quota("ec2", "L-2C3B7624") is None


@pytest.mark.parametrize(
    ("service", "operation", "code", "ask"),
    [
        ("ec2", "describe_images", "InvalidAMIID.NotFound", lambda aws: aws.image("ami-1")),
        ("ec2", "describe_images", "InvalidAMIID.Unavailable", lambda aws: aws.image("ami-1")),
        (
            "ec2",
            "describe_capacity_reservations",
            "InvalidCapacityReservationId.NotFound",
            lambda aws: aws.reservation("cr-1"),
        ),
        ("ec2", "describe_vpcs", "InvalidVpcID.NotFound", lambda aws: aws.vpc("vpc-1")),
        ("ssm", "get_parameter", "ParameterNotFound", lambda aws: aws.parameter("/a")),
        (
            "acm",
            "describe_certificate",
            "ResourceNotFoundException",
            lambda aws: aws.certificate_status("arn:aws:acm:eu-west-1:111122223333:certificate/x"),
        ),
        ("s3", "list_objects_v2", "NoSuchBucket", lambda aws: aws.holds_objects("bucket", "m/")),
        ("s3", "get_bucket_notification_configuration", "NoSuchBucket", lambda aws: aws.sends_events("bucket")),
        (
            "secretsmanager",
            "describe_secret",
            "ResourceNotFoundException",
            lambda aws: aws.secret_is_readable("arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-AbCdEf"),
        ),
    ],
)
def test_what_is_not_there_is_none(
    service: str, operation: str, code: str, ask: Callable[[BotoAws], object], aws: BotoAws, stubbed: Any
) -> None:
    stubbed(service).add_client_error(operation, code)

    assert ask(aws) is None


@pytest.mark.parametrize(("answer", "tells"), [({}, False), ({"EventBridgeConfiguration": {}}, True)])
def test_a_bucket_tells_eventbridge_where_it_is_turned_on(
    answer: dict[str, Any], tells: bool, aws: BotoAws, stubbed: Any
) -> None:
    stubbed("s3").add_response("get_bucket_notification_configuration", answer)

    assert aws.sends_events("bucket") is tells


@pytest.mark.parametrize(
    ("answer", "readable"), [({}, True), ({"DeletedDate": datetime(2026, 1, 1, tzinfo=UTC)}, False)]
)
def test_a_secret_is_readable_until_it_is_deleted(
    answer: dict[str, Any], readable: bool, aws: BotoAws, stubbed: Any
) -> None:
    stubbed("secretsmanager").add_response("describe_secret", answer)

    assert aws.secret_is_readable("arn:aws:secretsmanager:eu-west-1:111122223333:secret:x-AbCdEf") is readable


def test_a_stack_that_is_not_there_is_none(aws: BotoAws, stubbed: Any) -> None:
    stubbed("cloudformation").add_client_error(
        "describe_stacks", "ValidationError", "Stack with id CDKToolkit does not exist"
    )

    assert aws.stack_status("CDKToolkit") is None


def test_local_zones_are_no_zones_and_are_asked_for_once(aws: BotoAws, stubbed: Any) -> None:
    zone = {"ZoneId": "euw1-az1", "ZoneName": "eu-west-1a", "State": "available", "ZoneType": "availability-zone"}
    local = zone | {"ZoneId": "euw1-x1-az1", "ZoneType": "local-zone", "OptInStatus": "not-opted-in"}
    stubbed("ec2").add_response("describe_availability_zones", {"AvailabilityZones": [zone, local]})

    assert aws.zones() == aws.zones() == (Zone("euw1-az1", "eu-west-1a"),)
