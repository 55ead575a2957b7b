"""What the checks ask AWS, in their own words, and how an answer can fail to come."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class AskError(Exception):
    """AWS gave no answer. The message is one sentence."""


class DeniedError(AskError):
    """The credentials may not ask this. ``action`` is the IAM action that is missing."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"the credentials may not call {action}")


class CannotAskError(AskError):
    """Nothing can be asked at all: no credentials, credentials that ended, no way to AWS. ``fix`` says what to do."""

    def __init__(self, message: str, fix: str) -> None:
        self.fix = fix
        super().__init__(message)


class FailedError(AskError):
    """AWS answered with an error. ``code`` is its own."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"AWS answered {code}: {message}")


@dataclass(frozen=True, slots=True)
class Zone:
    """One availability zone, as this account sees it."""

    id: str
    name: str
    available: bool = True
    opted_in: bool = True


@dataclass(frozen=True, slots=True)
class Quota:
    """What is granted now: vCPUs for EC2's, instances for SageMaker's."""

    name: str
    granted: float


@dataclass(frozen=True, slots=True)
class Image:
    """An AMI. ``state`` and ``architecture`` in EC2's words."""

    state: str
    architecture: str
    windows: bool = False


@dataclass(frozen=True, slots=True)
class Reservation:
    """A capacity reservation or a capacity block, in EC2's words; dates in UTC."""

    state: str
    instance_type: str
    platform: str
    zone: str
    """Its id, or its name where EC2 gives no id."""
    count: int
    block: bool
    starts: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Vpc:
    """A VPC's DNS attributes."""

    dns_support: bool
    dns_hostnames: bool


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet and the addresses that are free in it now."""

    vpc_id: str
    zone_id: str
    free_addresses: int


class Aws(Protocol):
    """One account in one region. Everything may raise ``AskError``; None means that there is no such thing."""

    def account(self) -> str:
        """The account of the credentials."""

    def region_status(self) -> str | None:
        """``opt-in-not-required``, ``opted-in`` or ``not-opted-in``."""

    def zones(self) -> Collection[Zone]:
        """The region's zones, those without opt-in too."""

    def offerings(self, instance_types: Collection[str]) -> Mapping[str, Collection[str]]:
        """Instance type to the zone ids that offer it."""

    def quota(self, service: str, code: str) -> Quota | None:
        """``service`` is ec2 or sagemaker."""

    def parameter(self, name: str) -> str | None:
        """The value of an SSM parameter."""

    def image(self, image_id: str) -> Image | None:
        """An AMI that the account may start."""

    def reservation(self, reservation_id: str) -> Reservation | None:
        """A reservation or block of the account, or shared with it."""

    def vpc(self, vpc_id: str) -> Vpc | None:
        """A VPC."""

    def subnets(self, subnet_ids: Collection[str]) -> Mapping[str, Subnet]:
        """Those of the subnets that are there."""

    def certificate_status(self, arn: str) -> str | None:
        """``ISSUED``, or why not, in ACM's words."""

    def holds_objects(self, bucket: str, prefix: str) -> bool | None:
        """Whether anything lies under a prefix; None without such a bucket."""

    def sends_events(self, bucket: str) -> bool | None:
        """Whether a bucket tells EventBridge of its objects; None without such a bucket."""

    def secret_is_readable(self, arn: str) -> bool | None:
        """Whether a secret can be read; not when it is about to be deleted. None without such a secret."""

    def stack_status(self, name: str) -> str | None:
        """A CloudFormation stack's status."""
