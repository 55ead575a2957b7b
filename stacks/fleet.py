"""One fleet."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from neuron_cdk import NeuronFleet, spec
from neuron_cdk.catalog import instances, regions

from .network import NetworkStack


class FleetStack(Stack):
    """A fleet in the zones that offer it: all of them, or with EFA the one the file names or the first."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        fleet: spec.Fleet,
        network: NetworkStack,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        first = fleet.instance_types[0]
        layout = fleet.efa.layout if fleet.efa else instances.default_efa_layout(instances.get(first))
        zone = fleet.zone
        if layout != "none" and zone is None:
            offering = regions.zones_offering(network.region_name, first)
            zone = next(candidate for candidate in network.zones if candidate in offering)
        made = NeuronFleet(
            self,
            "Fleet",
            vpc=network.vpc,
            key=key,
            instance_types=fleet.instance_types,
            size=fleet.size,
            zone=zone,
            layout=layout,
            purchase="spot" if fleet.capacity[0].kind == "spot" else "on-demand",
            ami=fleet.ami,
            scaling=fleet.scaling,
        )
        CfnOutput(self, "AutoScalingGroup", value=made.group.ref)
