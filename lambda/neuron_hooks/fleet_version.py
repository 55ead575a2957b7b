"""The function behind ``Custom::NeuronFleetVersion``: which version of its launch template a released fleet is to name.

Event: CloudFormation's request object. ``Templates`` is a list of ``{"Id", "Version"}`` with CloudFormation's own
latest version. The answer's ``Version1``, ``Version2``, … are the versions that were released, or are just being
released, and CloudFormation's own where none was (a fleet's first deploy).

CloudFormation sets a group's version whenever it changes anything about the group, from what it remembers. So this is
asked again whenever anything about a group changes (``Groups`` repeats what CloudFormation is about to tell it), on the
way there and on the way back. It changes nothing itself: the release that follows it in the same deploy does.
"""

from __future__ import annotations

from typing import Any

from . import aws, cloudformation, log, release_record, settings

SETTINGS = settings.load(settings.FleetVersion)
_MOVING = ("progress", "verify", "promote")


def handler(event: dict[str, Any], _context: object) -> None:
    request = cloudformation.parse(event)
    physical_id = f"{SETTINGS.target}/version"
    try:
        data = {} if request.kind == "Delete" else _versions(event["ResourceProperties"]["Templates"])
    except Exception as error:  # nobody else would answer, and CloudFormation would wait
        log.decision("refused", key=SETTINGS.target, error=f"{type(error).__name__}: {error}")
        body = cloudformation.failure(request, physical_id, "The fleet's version is not known:", detail=str(error))
    else:
        log.decision("fleet version", key=SETTINGS.target, asked=request.kind, versions=data)
        body = cloudformation.success(request, physical_id, data)
    cloudformation.deliver(request, body)


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
