"""The launch templates of a fleet: one, and a second for capacity blocks.

Every change makes a numbered version, and the groups name the number: ``$Latest``, ``$Default`` and an SSM parameter as
image cannot be rolled back by an instance refresh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import CfnParameter, Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from ..catalog import software
from ..catalog.instances import InstanceType
from ..place import key_arn
from ..resource import resource

# The Neuron stack, its compiler caches and a checkpoint: 512 GB is what the Neuron guide asks for on Trainium.
_ROOT_GB = {"trn1": 512, "trn1n": 512, "trn2": 512}
_DEFAULT_ROOT_GB = 256


def ami_parameter(scope: Construct, instance: InstanceType) -> str:
    """The newest Neuron AMI of the type's chip, resolved to an id by CloudFormation at every deploy."""
    return resource(
        CfnParameter,
        scope,
        "Ami",
        type="AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
        default=software.ami_parameter(str(instance.target)),
        description="Neuron AMI, resolved to an id at every deploy",
    ).value_as_string


class FleetLaunchTemplates(Construct):
    """What every instance of a fleet is launched from.

    IMDSv2 only, with a hop for containers; the root volume, and any other, under ``key``; monitored every minute; no
    key pair; a cluster placement group where the fleet has EFA, except in capacity blocks, which are placed already
    (EC2 user guide, Capacity Blocks for ML).
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        instance: InstanceType,
        image_id: str,
        role_name: str,
        key: kms.IKey,
        interfaces: Sequence[Mapping[str, object]],
        clustered: bool,
        user_data: str,
        block_devices: Sequence[Mapping[str, Any]] = (),
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, construct_id)
        self.version: dict[str, str]
        """The main template's id and newest number, as a group's ``LaunchTemplateSpecification`` has them."""
        self._key_arn = key_arn(key)
        profile = resource(iam.CfnInstanceProfile, self, "Profile", roles=[role_name])
        self._data: dict[str, Any] = {
            "imageId": image_id,
            "instanceType": instance.name,
            "iamInstanceProfile": {"arn": profile.attr_arn},
            "networkInterfaces": list(interfaces),
            "metadataOptions": {
                "httpTokens": "required",
                "httpPutResponseHopLimit": 2,  # one more than the host: a container's bridge takes one
                "httpEndpoint": "enabled",
            },
            "blockDeviceMappings": [
                self._volume(
                    "/dev/sda1",  # Ubuntu's root; the Neuron AMIs we take are Ubuntu's
                    {"volumeSize": _ROOT_GB.get(instance.target or "", _DEFAULT_ROOT_GB), "volumeType": "gp3"},
                ),
                *(
                    {**device, **self._volume(device["deviceName"], device["ebs"])} if "ebs" in device else dict(device)
                    for device in block_devices
                ),
            ],
            "monitoring": {"enabled": True},
            "userData": Fn.base64(user_data),
            # The instances get the group's tags; volumes and interfaces only those that stand here.
            "tagSpecifications": [
                {
                    "resourceType": kind,
                    "tags": [{"key": name, "value": value} for name, value in tags.items()],
                }
                for kind in ("volume", "network-interface")
            ],
        }
        placement = {}
        if clustered:
            group = resource(ec2.CfnPlacementGroup, self, "Placement", strategy="cluster")
            placement = {"placement": {"groupName": group.ref}}
        self.version = self._version("Main", {**self._data, **placement})
        self.versions = [self.version]
        """Of every template there is."""

    def for_capacity_blocks(self) -> dict[str, str]:
        """The same without a placement group. The market is the group's to say: it targets the blocks."""
        made = self._version("CapacityBlock", self._data)
        self.versions.append(made)
        return made

    def _version(self, construct_id: str, data: dict[str, Any]) -> dict[str, str]:
        template = resource(ec2.CfnLaunchTemplate, self, construct_id, launch_template_data=data)
        return {"launchTemplateId": template.ref, "version": template.attr_latest_version_number}

    def _volume(self, device: str, ebs: Mapping[str, Any]) -> dict[str, Any]:
        ours = {"encrypted": True, "kmsKeyId": self._key_arn, "deleteOnTermination": True}
        return {"deviceName": device, "ebs": {**ours, **ebs}}
