"""A fleet of Neuron instances: launch template, EFA, placement, Auto Scaling group, scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from aws_cdk import CfnParameter, Fn, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from .. import spec
from ..catalog import instances, software
from ..nag import acknowledge
from ..network.efa import EfaSecurityGroup, network_interfaces
from ..network.security_groups import client_security_group
from ..network.shape import Vpc
from ..roles import Allow, arn, service_role
from . import neuron_metrics
from .user_data import user_data

# The Neuron stack, its compiler caches and a checkpoint: 512 GB is what the Neuron guide asks for on Trainium.
_ROOT_GB = {"trn1": 512, "trn1n": 512, "trn2": 512}
_DEFAULT_ROOT_GB = 256


class NeuronFleet(Construct):
    """Instances of one chip, in one Auto Scaling group.

    - With EFA: one interface a network card in a documented layout, a cluster placement group, one zone and one subnet
      (EFA's traffic crosses neither), a security group open to itself.
    - The AMI is a CloudFormation parameter that resolves the Neuron AMI's SSM parameter to an id at deploy, so that
      every launch-template version names a real image and can be rolled back to.
    - IMDSv2 only; the root volume under ``key``; no address from outside; no key pair: Session Manager is the way in.
    - The template never says how many instances there are, only the bounds: a deploy must not undo what scaling did.

    :param instance_types: in order of preference, alike in accelerator. With EFA the layout is the first type's.
    :param zones: availability zones as ``vpc`` calls them (``NeuronNetwork``: ids); with EFA exactly one, else all of
        the network's when not given.
    :param layout: EFA layout; the catalogue's for the type when not given.
    :param purchase: ``on-demand`` or ``spot``.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: Vpc,
        key: kms.IKey,
        instance_types: Sequence[str],
        size: spec.Size,
        zones: Sequence[str] | None = None,
        layout: Literal["efa", "efa-only", "none"] | None = None,
        purchase: Literal["on-demand", "spot"] = "on-demand",
        ami: str | None = None,
        scaling: spec.FleetScaling | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        first = instances.get(instance_types[0])
        for other in map(instances.get, instance_types):
            if other.accelerator != first.accelerator:
                raise ValueError(f"{first.name} and {other.name} differ in accelerator: one fleet, one kind of chip")
        layout = layout or instances.default_efa_layout(first)
        if layout != "none" and (zones is None or len(zones) != 1):
            raise ValueError(f"a fleet with EFA lives in one zone: say which (zones), {first.name} has EFA")
        self.name = self.node.path
        self._key = key

        self.role = self._instance_role()
        if layout == "none":
            group_id = client_security_group(
                self, "SecurityGroup", vpc=vpc, description="Fleet: TLS to AWS, nothing in"
            ).attr_group_id
        else:
            group_id = EfaSecurityGroup(self, "SecurityGroup", vpc=vpc).security_group_id
        subnets = [
            subnet.subnet_id for subnet in vpc.private_subnets if zones is None or subnet.availability_zone in zones
        ]
        if not subnets:
            has = ", ".join(subnet.availability_zone for subnet in vpc.private_subnets)
            raise ValueError(f"the network has no private subnet in {', '.join(zones or ())}; it has {has}")

        template = self._launch_template(
            first,
            image_id=ami or self._ami_parameter(first),
            interfaces=network_interfaces(first.name, layout=layout, security_group_id=group_id),
            clustered=layout != "none",
        )
        self.group = self._auto_scaling_group(template, instance_types, subnets, size, purchase)
        if scaling:
            self._follow_utilization(scaling)

    def metric_neuroncore_utilization(self) -> cloudwatch.Metric:
        """Mean over the fleet's NeuronCores, in percent, one value a minute and instance."""
        return cloudwatch.Metric(
            namespace=neuron_metrics.NAMESPACE,
            metric_name=neuron_metrics.METRIC,
            statistic="Average",
            dimensions_map={"Fleet": self.name},
        )

    # -- parts -------------------------------------------------------------------------------------------------------

    def _ami_parameter(self, instance: instances.InstanceType) -> str:
        return CfnParameter(
            self,
            "Ami",
            type="AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>",
            default=software.ami_parameter(str(instance.target)),
            description="Neuron AMI, resolved to an id at every deploy",
        ).value_as_string

    def _instance_role(self) -> iam.Role:
        return service_role(
            self,
            "Role",
            service="ec2.amazonaws.com",
            allow=[
                Allow(
                    ["ssm:UpdateInstanceInformation"],
                    [arn(self, "ec2", "instance/*")],
                    why="the group's instances, with ids nobody knows before",
                ),
                Allow(
                    [
                        "ssmmessages:CreateControlChannel",
                        "ssmmessages:CreateDataChannel",
                        "ssmmessages:OpenControlChannel",
                        "ssmmessages:OpenDataChannel",
                    ],
                    ["*"],
                    why="Session Manager's actions and PutMetricData take no resource but *",
                ),
                Allow(
                    ["cloudwatch:PutMetricData"],
                    ["*"],
                    why="Session Manager's actions and PutMetricData take no resource but *",
                    when={"StringEquals": {"cloudwatch:namespace": neuron_metrics.NAMESPACE}},
                ),
            ],
        )

    def _launch_template(
        self, first: instances.InstanceType, *, image_id: str, interfaces: list[dict[str, object]], clustered: bool
    ) -> ec2.CfnLaunchTemplate:
        profile = iam.CfnInstanceProfile(self, "Profile", roles=[self.role.role_name])
        data: dict[str, Any] = {
            "imageId": image_id,
            "instanceType": first.name,
            "iamInstanceProfile": {"arn": profile.attr_arn},
            "networkInterfaces": interfaces,
            "metadataOptions": {
                "httpTokens": "required",
                "httpPutResponseHopLimit": 2,  # one more than the host: a container's bridge takes one
                "httpEndpoint": "enabled",
            },
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/sda1",  # Ubuntu's root; the Neuron AMIs we take are Ubuntu's
                    "ebs": {
                        "volumeSize": _ROOT_GB.get(first.target or "", _DEFAULT_ROOT_GB),
                        "volumeType": "gp3",
                        "encrypted": True,
                        "kmsKeyId": self._key.key_arn,
                        "deleteOnTermination": True,
                    },
                }
            ],
            "monitoring": {"enabled": True},
            "userData": Fn.base64(user_data(fleet=self.name, region=Stack.of(self).region)),
        }
        if clustered:
            data["placement"] = {"groupName": ec2.CfnPlacementGroup(self, "Placement", strategy="cluster").ref}
        return ec2.CfnLaunchTemplate(self, "LaunchTemplate", launch_template_data=data)

    def _auto_scaling_group(
        self,
        template: ec2.CfnLaunchTemplate,
        instance_types: Sequence[str],
        subnets: Sequence[str],
        size: spec.Size,
        purchase: str,
    ) -> autoscaling.CfnAutoScalingGroup:
        version = {"launchTemplateId": template.ref, "version": template.attr_latest_version_number}
        spot = purchase == "spot"
        how: dict[str, Any]
        if len(instance_types) == 1 and not spot:
            how = {"launch_template": version}
        else:
            how = {
                "mixed_instances_policy": {
                    "launchTemplate": {
                        "launchTemplateSpecification": version,
                        "overrides": [{"instanceType": name} for name in instance_types],
                    },
                    "instancesDistribution": {
                        "onDemandAllocationStrategy": "prioritized",
                        "onDemandPercentageAboveBaseCapacity": 0 if spot else 100,
                        "spotAllocationStrategy": "price-capacity-optimized",
                    },
                }
            }
        topic = sns.Topic(self, "Events", master_key=self._key, enforce_ssl=True)
        self.events = topic
        group = autoscaling.CfnAutoScalingGroup(
            self,
            "Group",
            min_size=str(size.min),
            max_size=str(size.max),
            vpc_zone_identifier=list(subnets),
            health_check_type="EC2",
            health_check_grace_period=600,
            new_instances_protected_from_scale_in=False,
            metrics_collection=[{"granularity": "1Minute"}],
            notification_configurations=[
                {
                    "topicArn": topic.topic_arn,
                    "notificationTypes": [
                        "autoscaling:EC2_INSTANCE_LAUNCH",
                        "autoscaling:EC2_INSTANCE_LAUNCH_ERROR",
                        "autoscaling:EC2_INSTANCE_TERMINATE",
                        "autoscaling:EC2_INSTANCE_TERMINATE_ERROR",
                    ],
                }
            ],
            tags=[
                autoscaling.CfnAutoScalingGroup.TagPropertyProperty(
                    key="Name", value=self.name, propagate_at_launch=True
                )
            ],
            **how,
        )
        if "mixed_instances_policy" in how:
            acknowledge(
                group,
                {"AwsSolutions-EC26": "the rule cannot follow a mixed policy to its launch template (encrypted there)"},
            )
        return group

    def _follow_utilization(self, scaling: spec.FleetScaling) -> None:
        autoscaling.CfnScalingPolicy(
            self,
            "Scaling",
            auto_scaling_group_name=self.group.ref,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=scaling.scale_out_cooldown_s,
            target_tracking_configuration={
                "targetValue": scaling.target,
                "customizedMetricSpecification": {
                    "namespace": neuron_metrics.NAMESPACE,
                    "metricName": neuron_metrics.METRIC,
                    "dimensions": [{"name": "Fleet", "value": self.name}],
                    "statistic": "Average",
                    "unit": "Percent",
                },
            },
        )
