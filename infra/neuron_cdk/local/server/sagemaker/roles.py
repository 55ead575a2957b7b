"""SageMaker acts as the role that a job or a model names: what it needs to start a container, and while it runs.

After "How to use SageMaker AI execution roles" and "Give SageMaker AI Processing Jobs Access to Resources in Your
Amazon VPC" (SageMaker developer guide). The bytes it moves are asked of the embedded S3 in the role's name: see
``transfer``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..api import ServiceError
from ..iam import keys, sessions, switch
from ..iam.authorization import RefusedError, authorize
from ..iam.calls import Call
from ..iam.operations import checks
from ..iam.policies import Check
from ..iam.sessions import Caller
from . import store

_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z.]+/([^:@]+)")
_PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_LOOK = (
    "DescribeDhcpOptions",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcs",
)
_OF_INTERFACE = ("CreateNetworkInterfacePermission", "DeleteNetworkInterface", "DeleteNetworkInterfacePermission")


def check(role: str | None) -> None:
    """Refuse a role that SageMaker cannot take on. Raises ``ServiceError``."""
    if role and switch.on():
        _take_on(role)


@contextmanager
def acting(role: str | None) -> Iterator[None]:
    """Work as ``role`` within; as the administrator where there is none, or nothing is checked."""
    token = sessions.acting.set(_take_on(role) if role and switch.on() else None)
    try:
        yield
    finally:
        sessions.acting.reset(token)


def _take_on(role: str) -> Caller:
    try:
        return sessions.take_on(role, "sagemaker.amazonaws.com", "SageMaker")
    except sessions.CannotAssumeError as error:
        raise ServiceError(
            "ValidationException",
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role.",
        ) from error


def may_start(image: str, *, network: Mapping[str, Sequence[str]] | None, key: str | None, log_group: str) -> None:
    """Whether the role that acts may start a container, and keep its output. Raises ``RefusedError``.

    :param network: ``Subnets`` and ``SecurityGroupIds``, if the container is in a VPC.
    :param key: the customer's key of its volume.
    """
    caller = sessions.acting.get()
    if caller is None:
        return
    _pull(caller, image)
    if network:
        authorize(caller, _interfaces(network))
    if key:
        authorize(caller, [keys.grant(key, via="sagemaker", region=store.region(), account=store.account())])
    for wanted in _telling(log_group):
        with suppress(RefusedError):  # nobody hears of it, and it runs all the same (inferred)
            authorize(caller, [wanted])


def may_publish(topic: str) -> None:
    """Whether the role that acts may tell a topic. Raises ``RefusedError``."""
    caller = sessions.acting.get()
    if caller is not None:
        authorize(caller, checks(Call("sns", "Publish", {"TopicArn": topic}, store.region(), store.account())))


def _pull(caller: Caller, image: str) -> None:
    found = _IMAGE.match(image)
    if not found:
        return
    account, region, repository = found.groups()
    where = f"arn:aws:ecr:{region}:{account}:repository/{repository}"
    authorize(caller, [Check("ecr:GetAuthorizationToken", "*")])
    for name in _PULL:
        try:
            authorize(caller, [Check(f"ecr:{name}", where)])
        except RefusedError as error:
            raise RefusedError(
                f"The role '{caller.role}' does not have {name} permission for the image: '{image}'. ({error})"
            ) from error


def _interfaces(network: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    yield from (Check(f"ec2:{name}", "*") for name in _LOOK)
    interface = _arn("ec2", "network-interface/eni-00000000000000000")
    yield Check("ec2:CreateNetworkInterface", interface)
    for kind, ids in (("subnet", network["Subnets"]), ("security-group", network["SecurityGroupIds"])):
        yield from (Check("ec2:CreateNetworkInterface", _arn("ec2", f"{kind}/{id_}")) for id_ in ids)
    yield from (Check(f"ec2:{name}", interface) for name in _OF_INTERFACE)


def _telling(group: str) -> Iterator[Check]:
    for name in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"):
        request: dict[str, Any] = {"logGroupName": group}
        yield from checks(Call("logs", name, request, store.region(), store.account()))
    yield Check("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "/".join(group.split("/")[:4])})


def _arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{store.region()}:{store.account()}:{rest}"
