"""The environment, read once at cold start into a typed object: a missing variable stops the function by name."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TypeVar

T = TypeVar("T")


class SettingsError(Exception):
    """The function is deployed without something it needs."""


@dataclass(frozen=True)
class CompiledModel:
    """``deadline_seconds``: how long CloudFormation is kept waiting at most; ``poll_seconds``: between two looks."""

    registry_table: str
    request_machine_arn: str
    deadline_seconds: int
    poll_seconds: int


@dataclass(frozen=True)
class AnswerCloudFormation:
    registry_table: str


@dataclass(frozen=True)
class BeginCompile:
    """``lease_seconds``: what a lease lasts beyond the compile's own time limit (finding a host, starting it)."""

    registry_table: str
    artifact_bucket: str
    job_role_arn: str
    key_arn: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    jobs_code_uri: str
    lease_seconds: int


@dataclass(frozen=True)
class SourceChanged:
    """``quiet_seconds``: how long nothing may have come in before an upload is taken for whole; ``poll_seconds``: as
    above."""

    registry_table: str
    request_machine_arn: str
    quiet_seconds: int
    poll_seconds: int


@dataclass(frozen=True)
class RegisterArtifact:
    registry_table: str
    artifact_bucket: str


@dataclass(frozen=True)
class JoinParts:
    artifact_bucket: str


@dataclass(frozen=True)
class RecordFailure:
    registry_table: str


@dataclass(frozen=True)
class FleetController:
    """``fleet``: JSON, as ``fleet.settings`` reads it."""

    registry_table: str
    fleet: str


@dataclass(frozen=True)
class FleetVersion:
    """``target``: ``fleet/serve``."""

    registry_table: str
    target: str


@dataclass(frozen=True)
class ImageMirror:
    """``project``: the CodeBuild project that copies."""

    project: str


@dataclass(frozen=True)
class EndpointHook:
    """``endpoint_key``: the endpoint's name, and its record's in the registry."""

    registry_table: str
    endpoint_key: str


@dataclass(frozen=True)
class Release:
    """``target``: ``endpoint/embed``; ``approval``: whether a person is asked, ``yes`` or ``no``; ``poll_seconds``:
    between the first looks.
    """

    registry_table: str
    target: str
    approval: str
    poll_seconds: int


@dataclass(frozen=True)
class ReleaseStart:
    """``model``: what the target serves; ``deadline_seconds``: how long CloudFormation is kept waiting at most."""

    release_machine_arn: str
    target: str
    model: str
    deadline_seconds: int


@dataclass(frozen=True)
class Housekeeping:
    """``keep_days``: how long what nobody uses stays; ``grace_seconds``: how long it is retiring before it goes."""

    registry_table: str
    artifact_bucket: str
    keep_days: int
    grace_seconds: int


def load(cls: type[T]) -> T:
    """Fill a settings class from the variables named like its fields, in capitals.

    :raises SettingsError: naming the variable that is missing or is no number.
    """
    return cls(**{field.name: _read(field.name.upper(), str(field.type)) for field in fields(cls)})  # type: ignore[arg-type]


def _read(name: str, kind: str) -> str | int | tuple[str, ...]:
    value = os.environ.get(name, "").strip()
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    if kind == "int":
        if not value.isdigit():
            raise SettingsError(f"the environment variable {name} must be a whole number, not {value!r}")
        return int(value)
    if kind.startswith("tuple"):
        return tuple(part for part in value.split(",") if part)
    return value
