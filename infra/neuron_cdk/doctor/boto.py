"""``Aws`` by boto3: the one module here that speaks to AWS."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError

from ..catalog import regions
from .aws import (
    AskError,
    CannotAskError,
    DeniedError,
    FailedError,
    Image,
    Quota,
    Reservation,
    Subnet,
    Vpc,
    Zone,
)

_HOMES = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""A region of each partition that is always enabled: who asks in one that is not gets told his key is unknown."""

_READ_TIMEOUT = 30
_NO_AWS = "check the network, proxies and AWS_ENDPOINT_URL"
_LOG_IN = "log in again, or set AWS_PROFILE"
_ENDED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException", "403"})


class BotoAws:
    """One account in one region, by the credentials of ``session``. ``endpoint`` is the embedded AWS's, if any."""

    def __init__(self, session: boto3.Session, region: str, *, endpoint: str | None = None) -> None:
        self._session, self._region, self._endpoint = session, region, endpoint
        self._home = _HOMES.get(regions.get(region).partition, region)
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._making, self._listing = Lock(), Lock()
        self._zones: tuple[Zone, ...] | None = None

    def client(self, service: str, region: str | None = None, *, read_timeout: int = _READ_TIMEOUT) -> Any:
        """A client that gives up soon. Sessions are for one thread at a time, clients for any number.

        :param read_timeout: seconds. One that waits longer than usual asks once: what takes long is not begun twice.
        """
        place = region or self._region
        with self._making:
            if (service, place, read_timeout) not in self._clients:
                config = Config(
                    retries={"total_max_attempts": 3 if read_timeout <= _READ_TIMEOUT else 1, "mode": "standard"},
                    connect_timeout=5,
                    read_timeout=read_timeout,
                    s3={"addressing_style": "path"} if self._endpoint else {},
                )
                with answered(f"{service}:*"):
                    self._clients[service, place, read_timeout] = self._session.client(
                        service, region_name=place, endpoint_url=self._endpoint, config=config
                    )
            return self._clients[service, place, read_timeout]

    def account(self) -> str:
        with answered("sts:GetCallerIdentity"):
            return str(self.client("sts", self._home).get_caller_identity()["Account"])

    def region_status(self) -> str | None:
        with answered("ec2:DescribeRegions"):
            found = self.client("ec2", self._home).describe_regions(AllRegions=True)["Regions"]
        return next((str(each["OptInStatus"]) for each in found if each["RegionName"] == self._region), None)

    def zones(self) -> tuple[Zone, ...]:
        with self._listing:  # several checks need them
            if self._zones is None:
                with answered("ec2:DescribeAvailabilityZones"):
                    found = self.client("ec2").describe_availability_zones(AllAvailabilityZones=True)
                self._zones = tuple(
                    Zone(
                        each["ZoneId"],
                        each["ZoneName"],
                        available=each["State"] == "available",
                        opted_in=each.get("OptInStatus") != "not-opted-in",
                    )
                    for each in found["AvailabilityZones"]
                    if each.get("ZoneType", "availability-zone") == "availability-zone"
                )
            return self._zones

    def offerings(self, instance_types: Collection[str]) -> dict[str, set[str]]:
        offered: dict[str, set[str]] = {}
        with answered("ec2:DescribeInstanceTypeOfferings"):
            for page in (
                self.client("ec2")
                .get_paginator("describe_instance_type_offerings")
                .paginate(
                    LocationType="availability-zone-id",
                    Filters=[{"Name": "instance-type", "Values": sorted(instance_types)}],
                )
            ):
                for each in page["InstanceTypeOfferings"]:
                    offered.setdefault(each["InstanceType"], set()).add(each["Location"])
        return offered

    def quota(self, service: str, code: str) -> Quota | None:
        """What is applied, or the default where nothing was ever applied."""
        client, which = self.client("service-quotas"), {"ServiceCode": service, "QuotaCode": code}
        found = _or_none(
            "servicequotas:GetServiceQuota", lambda: client.get_service_quota(**which), "NoSuchResourceException"
        ) or _or_none(
            "servicequotas:GetAWSDefaultServiceQuota",
            lambda: client.get_aws_default_service_quota(**which),
            "NoSuchResourceException",
        )
        return Quota(found["Quota"]["QuotaName"], found["Quota"]["Value"]) if found else None

    def parameter(self, name: str) -> str | None:
        client = self.client("ssm")
        found = _or_none("ssm:GetParameter", lambda: client.get_parameter(Name=name), "ParameterNotFound")
        return str(found["Parameter"]["Value"]) if found else None

    def image(self, image_id: str) -> Image | None:
        client = self.client("ec2")
        found = _or_none(
            "ec2:DescribeImages",
            lambda: client.describe_images(ImageIds=[image_id], IncludeDeprecated=True),
            "InvalidAMIID",
        )
        for each in found["Images"] if found else ():
            return Image(each["State"], each["Architecture"], windows=each.get("Platform") == "windows")
        return None

    def reservation(self, reservation_id: str) -> Reservation | None:
        client = self.client("ec2")
        found = _or_none(
            "ec2:DescribeCapacityReservations",
            lambda: client.describe_capacity_reservations(CapacityReservationIds=[reservation_id]),
            "InvalidCapacityReservationId",
        )
        for each in found["CapacityReservations"] if found else ():
            return Reservation(
                state=each["State"],
                instance_type=each["InstanceType"],
                platform=each["InstancePlatform"],
                zone=each.get("AvailabilityZoneId") or each.get("AvailabilityZone", ""),
                count=each["TotalInstanceCount"],
                block=each.get("ReservationType") == "capacity-block",
                starts=each.get("StartDate"),
                ends=each.get("EndDate"),
            )
        return None

    def vpc(self, vpc_id: str) -> Vpc | None:
        client = self.client("ec2")
        if not _or_none("ec2:DescribeVpcs", lambda: client.describe_vpcs(VpcIds=[vpc_id]), "InvalidVpcID"):
            return None

        def is_on(attribute: str) -> bool:
            told = client.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
            return bool(told[f"{attribute[0].upper()}{attribute[1:]}"]["Value"])

        with answered("ec2:DescribeVpcAttribute"):
            return Vpc(dns_support=is_on("enableDnsSupport"), dns_hostnames=is_on("enableDnsHostnames"))

    def subnets(self, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        with answered("ec2:DescribeSubnets"):
            found = self.client("ec2").describe_subnets(Filters=[{"Name": "subnet-id", "Values": list(subnet_ids)}])
        return {
            each["SubnetId"]: Subnet(each["VpcId"], each["AvailabilityZoneId"], each["AvailableIpAddressCount"])
            for each in found["Subnets"]
        }

    def certificate_status(self, arn: str) -> str | None:
        client = self.client("acm")
        found = _or_none(
            "acm:DescribeCertificate",
            lambda: client.describe_certificate(CertificateArn=arn),
            "ResourceNotFoundException",
        )
        return str(found["Certificate"]["Status"]) if found else None

    def holds_objects(self, bucket: str, prefix: str) -> bool | None:
        client = self.client("s3")
        found = _or_none(
            f"s3:ListBucket on {bucket}",
            lambda: client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1),
            "NoSuchBucket",
        )
        return bool(found["KeyCount"]) if found else None

    def sends_events(self, bucket: str) -> bool | None:
        client = self.client("s3")
        found = _or_none(
            f"s3:GetBucketNotification on {bucket}",
            lambda: client.get_bucket_notification_configuration(Bucket=bucket),
            "NoSuchBucket",
        )
        return None if found is None else "EventBridgeConfiguration" in found

    def secret_is_readable(self, arn: str) -> bool | None:
        """By what it says of itself: its content is nothing to the doctor."""
        client = self.client("secretsmanager")
        found = _or_none(
            "secretsmanager:DescribeSecret", lambda: client.describe_secret(SecretId=arn), "ResourceNotFoundException"
        )
        return None if found is None else "DeletedDate" not in found

    def stack_status(self, name: str) -> str | None:
        client = self.client("cloudformation")
        try:
            with answered("cloudformation:DescribeStacks"):
                return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        except FailedError as error:
            if "does not exist" in str(error):
                return None
            raise


def _or_none(action: str, ask: Callable[[], dict[str, Any]], missing: str) -> dict[str, Any] | None:
    """An answer; None when AWS says, by an error that begins with ``missing``, that there is no such thing."""
    try:
        with answered(action):
            return ask()
    except FailedError as error:
        if error.code.startswith(missing):
            return None
        raise


@contextmanager
def answered(action: str) -> Iterator[None]:
    """Turn what boto3 raises into ``AskError``. ``action`` is the IAM action that is used."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _told(action, error) from error
    except exceptions.NoCredentialsError as error:
        raise CannotAskError("there are no credentials", "log in, or set AWS_PROFILE") from error
    except exceptions.ParamValidationError as error:  # what the file has, AWS would not even look at
        raise FailedError("ParamValidationError", " ".join(str(error).split())) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise CannotAskError(f"no way to AWS: {error}", _NO_AWS) from error
    except exceptions.BotoCoreError as error:  # a profile that is not there, a login that ended, half a key
        raise CannotAskError(str(error).rstrip("."), _LOG_IN) from error
    except (ResponseParserError, LookupError, TypeError, ValueError) as error:  # a proxy's page, an endpoint of another
        why = " ".join(str(error).split())[:200]
        what = f"what came for {action} is no answer of AWS's ({type(error).__name__}: {why})"
        raise CannotAskError(what, _NO_AWS) from error


def _told(action: str, error: exceptions.ClientError) -> AskError:
    code = str(error.response["Error"].get("Code", ""))
    if code in _ENDED:
        return CannotAskError("the credentials have expired", _LOG_IN)
    if code in _UNKNOWN:
        return CannotAskError(f"AWS does not know the credentials ({code})", _LOG_IN)
    if code in _DENIED:
        return DeniedError(action)
    return FailedError(code, str(error.response["Error"].get("Message", "")))
