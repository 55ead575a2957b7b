"""Launch template versions that differ in nothing but the artifact. Pure.

A fleet's user data holds ``/opt/neuron-cdk/fleet.env`` in the clear, and in it one line ``ARTIFACT_URI='s3://…/'``
(``neuron_cdk.fleet.user_data``). A release replaces that line and leaves the rest (image, devices, volumes, role) as
CloudFormation made it. Two versions with the same data are the same to whoever runs them, whatever their numbers: an
instance of one need not be replaced by one of the other.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MADE_BY_US = "neuron-cdk release "
"""What the description of every version begins with that a release made."""

# What systemd and bash read alike between single quotes (``neuron_cdk.fleet.user_data``).
_URI = re.compile(r"s3://[a-z0-9.-]+/[A-Za-z0-9._/-]+")
_LINE = re.compile(r"^(?P<before> *ARTIFACT_URI=')(?P<uri>[^']*)'$", re.MULTILINE)
_MOST_DESCRIPTION = 255


class TemplateError(Exception):
    """A launch template from which no release can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version as DescribeLaunchTemplateVersions gives it. ``data``: LaunchTemplateData."""

    number: int
    description: str
    data: Mapping[str, Any]

    @property
    def is_ours(self) -> bool:
        """Whether a release made it, and not CloudFormation."""
        return self.description.startswith(MADE_BY_US)


def artifact_of(user_data: str) -> str:
    """The artifact's URI in user data (base64).

    :raises TemplateError: when it holds none.
    """
    found = _LINE.search(_text(user_data))
    if found is None:
        raise TemplateError("the launch template's user data has no line ARTIFACT_URI='…': the fleet serves no model")
    return found["uri"]


def with_artifact(user_data: str, uri: str) -> str:
    """User data (base64) with another artifact.

    :raises TemplateError: when it holds none, or the URI is none that the instance's shell reads as it is.
    """
    if not _URI.fullmatch(uri):
        raise TemplateError(f"{uri!r:.200} is no artifact's URI: s3://bucket/prefix/ with letters, digits and ._/- is")
    artifact_of(user_data)
    # The first: commands of the user's come after fleet.env, and may have a line like it.
    text = _LINE.sub(lambda line: f"{line['before']}{uri}'", _text(user_data), count=1)
    return base64.b64encode(text.encode()).decode()


def find(versions: Iterable[Version], base: Version, uri: str, preferred: int) -> int | None:
    """The number of a version that is ``base`` with this artifact: the preferred one if it is, else the newest."""
    wanted = _comparable(base.data) | {"UserData": _text(with_artifact(str(base.data.get("UserData", "")), uri))}
    fitting = [one.number for one in versions if _comparable(one.data) == wanted]
    return preferred if preferred in fitting else max(fitting, default=None)


def description(release: str, artifact_key: str) -> str:
    """What a version that a release makes is described as; EC2 takes 255 characters."""
    return f"{MADE_BY_US}{release}: artifact {artifact_key}"[:_MOST_DESCRIPTION]


def disposable(versions: Iterable[Version], used: Iterable[int]) -> list[int]:
    """Those that releases made and nobody uses, oldest first."""
    kept = set(used)
    return sorted(one.number for one in versions if one.is_ours and one.number not in kept)


def _comparable(data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {**data, "UserData": _text(str(data.get("UserData", "")))}
    except TemplateError:  # somebody else's version: like none of ours
        return dict(data)


def _text(user_data: str) -> str:
    try:
        return base64.b64decode(user_data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise TemplateError(f"the launch template's user data cannot be read: {error}") from error
