"""The function behind ``Custom::NeuronFleetVersion``: which version of its launch template a released fleet is to name.

Event: CloudFormation's request object. ``Templates`` is a list of ``{"Id", "Version"}`` with CloudFormation's own
latest version. The answer's ``Version1``, ``Version2``, … are the versions that were released, or are just being
released, and CloudFormation's own where none was (a fleet's first deploy).

CloudFormation sets a group's version whenever it changes anything about the group, from what it remembers. So there are
two of these resources, and both are asked again whenever anything about a group changes (``Groups`` repeats what
CloudFormation is about to tell it):

- one before the groups, whose answer is the groups' version. It changes nothing;
- one after them, with ``Keep`` (``[{"Name", "Template"}]``): groups that launch from another version are given the
  released one again. On its way back CloudFormation may give a group the version it gave it last, which may be older
  than a release since.

What a deploy brings is released by the release that follows in the same deploy.
"""

from __future__ import annotations

from typing import Any

from .. import aws, cloudformation, log, settings
from . import fleet_aws
from . import record as release_record

SETTINGS = settings.load(settings.FleetVersion)
_MOVING = ("progress", "verify", "promote")


def handler(event: dict[str, Any], _context: object) -> None:
    request = cloudformation.parse(event)
    properties = event["ResourceProperties"]
    physical_id = f"{SETTINGS.target}/{'kept' if 'Keep' in properties else 'version'}"
    data: dict[str, str] = {}
    try:
        if request.kind != "Delete":
            data = aws.patiently(lambda: _told(properties))
    except Exception as error:  # nobody else would answer, and CloudFormation would wait
        log.decision("refused", key=SETTINGS.target, error=f"{type(error).__name__}: {error}")
        body = cloudformation.failure(request, physical_id, "The fleet's version is not known:", detail=str(error))
    else:
        log.decision("fleet version", key=SETTINGS.target, asked=request.kind, versions=data)
        body = cloudformation.success(request, physical_id, data)
    cloudformation.deliver(request, body)


def _told(properties: dict[str, Any]) -> dict[str, str]:
    """The versions, which the groups to keep then have."""
    data = _versions(properties["Templates"])
    versions = {each["Id"]: data[f"Version{number}"] for number, each in enumerate(properties["Templates"], 1)}
    _keep(properties.get("Keep", []), versions)
    return data


def _keep(groups: list[dict[str, str]], versions: dict[str, str]) -> None:
    seen = fleet_aws.groups([each["Name"] for each in groups]) if groups else {}
    for each in groups:
        group, version = seen[each["Name"]], versions[each["Template"]]
        if group.version != version:
            log.decision("version kept", key=SETTINGS.target, group=group.name, found=group.version, version=version)
            fleet_aws.set_version(group, int(version))


def _versions(templates: list[dict[str, str]]) -> dict[str, str]:
    item = aws.get_item(release_record.get(SETTINGS.registry_table, SETTINGS.target))
    record = release_record.read(item, SETTINGS.target)
    facts = record.current.facts if record.current else {}
    if record.pending is not None and record.pending.stage in _MOVING:
        facts = record.pending.facts
    released = facts.get("versions", {})
    return {
        f"Version{number}": str(released.get(template["Id"], template["Version"]))
        for number, template in enumerate(templates, 1)
    }
