"""A VPC of our own, or one that exists."""

from __future__ import annotations

from aws_cdk import Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from neuron_cdk import NeuronNetwork, spec


class NetworkStack(Stack):
    """``vpc`` with one private subnet for each of ``zones``, which are zone ids, in the file's order."""

    def __init__(
        self, scope: Construct, construct_id: str, *, env: Environment, deployment: spec.Deployment, key: kms.IKey
    ) -> None:
        super().__init__(scope, construct_id, env=env, termination_protection=True)
        network = deployment.network
        self.region_name = deployment.environment.region
        self.zones = spec.zones(deployment)
        if network.cidr:
            self.vpc = NeuronNetwork(
                self, "Network", cidr=network.cidr, zones=self.zones, egress=network.egress, key=key
            ).vpc
        else:
            self.vpc = ec2.Vpc.from_vpc_attributes(
                self,
                "Network",
                vpc_id=str(network.vpc_id),
                availability_zones=list(self.zones),
                private_subnet_ids=list(network.subnet_ids),
            )
