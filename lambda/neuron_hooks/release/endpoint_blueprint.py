"""What a release makes of an endpoint: its blueprint, filled in. Pure.

The blueprint (JSON) is what ``neuron_cdk.endpoint.released`` writes: ``endpoint`` (its name), ``model`` and
``configuration`` (CreateModel's and CreateEndpointConfig's requests), ``deployment`` (a DeploymentConfig, or null),
``exclude`` (ExcludeRetainedVariantProperties), ``alarms`` (PutMetricAlarm's requests), ``service`` (what
``endpoint.declaration`` reads) and ``tags`` (of model, configuration and endpoint). ``{model}``, ``{configuration}``,
``{artifact_key}`` and ``{artifact_uri}`` stand for what the release decides. Models, configurations and alarms are
called as the endpoint, and end in the release's id.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..endpoint import declaration as endpoint_declaration
from ..endpoint.declaration import Declaration, DeclarationError
from .kind import Release, Released, ReleaseError

Request = dict[str, Any]

ALARMS = ("Errors", "Latency")
"""What the names of a release's alarms end in; it need not have them."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Filled in for one release. ``name`` is that of its model and of its configuration alike."""

    endpoint: str
    name: str
    model: Request
    configuration: Request
    alarms: tuple[Request, ...]
    deployment: Request | None
    exclude: tuple[Request, ...]
    declaration: Declaration
    tags: Mapping[str, Any] = field(default_factory=dict)
    """The member ``Tags`` of requests that create something; empty where there are none."""

    def create(self) -> Request:
        """A CreateEndpoint request."""
        return {"EndpointName": self.endpoint, "EndpointConfigName": self.name, **self.tags}

    def update(self, *, back: bool = False) -> Request:
        """An UpdateEndpoint request.

        :param back: away from a version that is bad: without waits, and nothing watched, since an alarm of the bad one
            would send the endpoint back to it.
        """
        request: Request = {
            "EndpointName": self.endpoint,
            "EndpointConfigName": self.name,
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": list(self.exclude),
        }
        if self.deployment:
            request["DeploymentConfig"] = _at_once(self.deployment) if back else self.deployment
        return request


def fill(release: Release | Released) -> Blueprint:
    """The blueprint of a release, filled in.

    :raises ReleaseError: it cannot be read.
    """
    try:
        document = json.loads(release.declaration)
        endpoint = document["endpoint"]
        name = f"{endpoint}-{release.id}"
        known = {
            "{model}": name,
            "{configuration}": name,
            "{artifact_key}": release.artifact_key,
            "{artifact_uri}": release.artifact_uri,
        }
        service = document["service"]
        # What users wrote into smoke tests is sent as they wrote it.
        service = _filled({**service, "smoke_tests": []}, known) | {"smoke_tests": service["smoke_tests"]}
        tags = {"Tags": document["tags"]} if document.get("tags") else {}  # an old blueprint has none
        return Blueprint(
            endpoint=endpoint,
            name=name,
            model={**_filled(document["model"], known), **tags},
            configuration={**_filled(document["configuration"], known), **tags},
            alarms=tuple(_filled(document["alarms"], known)),
            deployment=_filled(document["deployment"], known),
            exclude=tuple(document["exclude"]),
            declaration=endpoint_declaration.parse(json.dumps(service)),
            tags=tags,
        )
    except (KeyError, TypeError, ValueError, DeclarationError) as error:
        raise ReleaseError(f"the property Declaration cannot be read ({type(error).__name__}: {error})") from error


def endpoint_of(declaration: str) -> str:
    """The endpoint's name in a blueprint; empty where it cannot be read."""
    try:
        return str(json.loads(declaration)["endpoint"])
    except (KeyError, TypeError, ValueError):
        return ""


def is_made(name: str, endpoint: str) -> bool:
    """Whether a model or a configuration was made for a release to this endpoint."""
    return re.fullmatch(rf"{re.escape(endpoint)}-[0-9a-f]{{8}}", name) is not None


def _filled(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for placeholder, text in known.items():
            value = value.replace(placeholder, text)
        return value
    if isinstance(value, list):
        return [_filled(one, known) for one in value]
    if isinstance(value, dict):
        return {name: _filled(one, known) for name, one in value.items()}
    return value


def _at_once(deployment: Request) -> Request:
    """The same way, or where that is by shares of traffic all at once, and no longer than it must."""
    if "RollingUpdatePolicy" in deployment:
        policy = copy.deepcopy(deployment["RollingUpdatePolicy"]) | {"WaitIntervalInSeconds": 0}
        return {"RollingUpdatePolicy": policy}
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 0,
    }
    return {"BlueGreenUpdatePolicy": policy}
