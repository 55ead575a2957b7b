"""A VPC of our own, or one that exists."""

from __future__ import annotations

from aws_cdk import Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from constructs import Construct

from neuron_cdk import NeuronNetwork, spec
from neuron_cdk.nag import acknowledge


class NetworkStack(Stack):
    """A VPC with one private subnet for each zone."""

    def __init__(
        self, scope: Construct, construct_id: str, *, env: Environment, deployment: spec.Deployment, key: kms.IKey
    ) -> None:
        super().__init__(scope, construct_id, env=env, termination_protection=True)
        network = deployment.network
        self.network = NeuronNetwork(
            self,
            "Network",
            cidr=str(network.cidr),
            zones=spec.zones(deployment),
            egress=network.egress,
            key=key,
        )


def existing_vpc(scope: Construct, deployment: spec.Deployment) -> ec2.IVpc:
    """The VPC the file names, with its private subnets in the order of their zones. Creates nothing."""
    network = deployment.network
    vpc = ec2.Vpc.from_vpc_attributes(
        scope,
        "Vpc",
        vpc_id=str(network.vpc_id),
        availability_zones=list(spec.zones(deployment)),
        private_subnet_ids=list(network.subnet_ids),
    )
    acknowledge(vpc, {"Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId": "nothing here adds a route"})
    return vpc
