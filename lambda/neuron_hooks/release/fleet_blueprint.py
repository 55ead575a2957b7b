"""What a fleet declares to its releases: JSON, as the construct writes it. Pure.

::

    {"groups": [{"pool": "spot", "name": "…", "template": "lt-…", "version": "3"}, …],
     "refresh": {…},          # as fleet.settings.Refresh
     "sdk": "2.31.1"}         # of the image in the templates

``version`` is the *base*: CloudFormation's own latest version, with everything as the deployment file has it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..fleet import settings as fleet_settings
from ..fleet.settings import Refresh


@dataclass(frozen=True, slots=True)
class Target:
    """A group, its template and the base version."""

    pool: str
    name: str
    template: str
    base: int


@dataclass(frozen=True, slots=True)
class Blueprint:
    """``refresh``: how running instances are replaced; ``sdk``: whose artifacts the image can load."""

    targets: tuple[Target, ...]
    refresh: Refresh
    sdk: str


def parse(declaration: str) -> Blueprint:
    """Read a declaration."""
    document = json.loads(declaration)
    return Blueprint(
        targets=tuple(
            Target(one["pool"], one["name"], one["template"], int(one["version"])) for one in document["groups"]
        ),
        refresh=fleet_settings.refresh_of(document["refresh"]),
        sdk=document["sdk"],
    )
