"""Who asks: roles that are taken on, and the credentials that say so.

A session's access key is ministack's own kind (``ASIA…``), so STS tells whose it is, too. Whoever has another key is
this machine's developer, CloudFormation or the CDK: the administrator, whom nothing is refused.
"""

from __future__ import annotations

import hashlib
import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from .. import patching
from . import switch
from .policies import parse, trusts

_roles = patching.original(iam, "_roles")
_sessions = patching.original(sts, "_sessions")
_register = patching.original(sts, "register_session")
_ADMINISTRATORS = ("cdk-",)
"""The roles that ``cdk bootstrap`` makes for whoever deploys."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A role that somebody acts as."""

    role: str
    """Its ARN."""
    session: str

    @property
    def account(self) -> str:
        return self.role.split(":")[4]

    @property
    def arn(self) -> str:
        """As it is named in refusals."""
        return f"arn:aws:sts::{self.account}:assumed-role/{self.name}/{self.session}"

    @property
    def name(self) -> str:
        return self.role.rpartition("/")[2]


class CannotAssumeError(Exception):
    """A service may not take a role on: there is none, or it does not trust the service."""


acting: ContextVar[Caller | None] = ContextVar("neuron_cdk_acting", default=None)
"""In whose name the server itself works here: a job's thread, an execution's, an endpoint's."""


def take_on(role: str, service: str, session: str) -> Caller:
    """``service`` takes a role on. Raises ``CannotAssumeError``."""
    caller = Caller(role, session[:64])
    if switch.enforcing():
        record = record_of(role)
        if record is None:
            raise CannotAssumeError(f"there is no role {role}")
        context = {"aws:sourceaccount": caller.account}
        if not trusts(parse(record["AssumeRolePolicyDocument"]), service, context):
            raise CannotAssumeError(f"{service} is not authorized to assume the role {role}: its trust policy says so")
    return caller


def record_of(role: str) -> dict[str, Any] | None:
    """ministack's record of a role, by its ARN."""
    found: dict[str, Any] | None = _roles.get_scoped(role.split(":")[4], None, role.rpartition("/")[2])
    return found if found and found["Arn"] == role else None


_made: dict[Caller, dict[str, str]] = {}


def credentials(caller: Caller) -> dict[str, str]:
    """Variables that let boto3 act as ``caller``."""
    made = _made.get(caller)
    if made is None or made["AWS_ACCESS_KEY_ID"] not in _sessions:
        digest = hashlib.sha256(f"{caller}{secrets.token_hex()}".encode()).hexdigest()
        made = _made[caller] = {
            "AWS_ACCESS_KEY_ID": f"ASIA{digest[:16].upper()}",
            "AWS_SECRET_ACCESS_KEY": digest[16:],
            "AWS_SESSION_TOKEN": digest,
        }
        _register(
            made["AWS_ACCESS_KEY_ID"],
            {
                "Arn": caller.arn,
                "UserId": f"{caller.name}:{caller.session}",
                "SecretAccessKey": made["AWS_SECRET_ACCESS_KEY"],
                "SessionToken": made["AWS_SESSION_TOKEN"],
            },
        )
    return dict(made)


def caller_of(access_key: str) -> Caller | None:
    """Who signs with ``access_key``; None for the administrator."""
    arn = str((_sessions.get(access_key) or {}).get("Arn", ""))
    if ":assumed-role/" not in arn:
        return None
    name, _, session = arn.rpartition(":assumed-role/")[2].partition("/")
    if administrates(name):
        return None
    record = _roles.get_scoped(arn.split(":")[4], None, name)
    return Caller(record["Arn"] if record else f"arn:aws:iam::{arn.split(':')[4]}:role/{name}", session)


def administrates(role: str) -> bool:
    """Whether a role, by its ARN or its name, is one of those that the CDK deploys as."""
    return role.rpartition("/")[2].startswith(_ADMINISTRATORS)


def place() -> tuple[str, str]:
    """The region and the account of the request under way."""
    return str(get_region()), str(get_account_id())
