"""The AMIs: the parameters that name Neuron's, and those that the file pins."""

from __future__ import annotations

from collections.abc import Iterator

from ...catalog import software
from ...spec import Deployment
from ...spec.findings import Problem
from ...spec.hosts import instance
from ...spec.source import Pointer
from ..aws import Aws


def can_be_started(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    yield from _parameters(deployment, aws)
    for name, fleet in deployment.fleets.items():
        if fleet.ami:
            yield from _pinned(fleet.ami, ("fleets", name, "ami"), fleet.instance_types[0], aws)


def _parameters(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    """Each parameter is asked for once, and told at the first that needs it."""
    wanted: dict[str, Pointer] = {}
    for at, instance_type in _without_ami(deployment):
        host = instance(instance_type)
        if host and host.target:
            try:
                wanted.setdefault(software.ami_parameter(host.target), at)
            except software.DeadCombination:
                continue  # no AMI of Neuron's for this chip: validate's to tell
    for name, at in wanted.items():
        value = aws.parameter(name)
        if value is None or not value.startswith("ami-"):
            yield Problem(
                "NCDK-DOCTOR-014",
                at,
                f"the parameter {name} is not there" if value is None else f"the parameter {name} holds no AMI id",
                fix="pin one with ami: ami-…, or take a region where AWS publishes Neuron's",
                given=value or "",
            )


def _without_ami(deployment: Deployment) -> Iterator[tuple[Pointer, str]]:
    for name, fleet in deployment.fleets.items():
        if not fleet.ami:
            yield ("fleets", name, "instance_types", 0), fleet.instance_types[0]
    for name, cluster in deployment.training_clusters.items():
        if cluster.engine == "batch":
            yield ("training_clusters", name, "instance_type"), cluster.instance_type


def _pinned(image_id: str, at: Pointer, instance_type: str, aws: Aws) -> Iterator[Problem]:
    image = aws.image(image_id)
    if image is None:
        yield Problem(
            "NCDK-DOCTOR-015",
            at,
            "there is no such AMI in this region, or it is not shared with the account",
            fix="copy it to the region, share it, or leave ami out to take Neuron's newest",
        )
        return
    if image.state != "available":
        yield Problem("NCDK-DOCTOR-016", at, f"the AMI is {image.state}", "an AMI that is available")
    if image.windows:
        yield Problem("NCDK-DOCTOR-016", at, "the AMI is of Windows", "an AMI of Linux")
    host = instance(instance_type)
    if host and image.architecture != host.architecture:
        yield Problem(
            "NCDK-DOCTOR-016", at, f"the AMI is for {image.architecture}, and {instance_type} is {host.architecture}"
        )
