"""One fleet."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from neuron_cdk import NeuronFleet, spec
from neuron_cdk.catalog import instances, regions
from neuron_cdk.network.shape import Vpc


class FleetStack(Stack):
    """A fleet in the zones that offer it."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        fleet: spec.Fleet,
        vpc: Vpc,
        zones: Sequence[str],
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        layout = fleet.efa.layout if fleet.efa else instances.default_efa_layout(instances.get(fleet.instance_types[0]))
        offering = [fleet.zone] if fleet.zone else zones_offering(fleet.instance_types, zones, str(env.region))
        made = NeuronFleet(
            self,
            "Fleet",
            vpc=vpc,
            key=key,
            instance_types=fleet.instance_types,
            size=fleet.size,
            zones=offering if layout == "none" else offering[:1],
            layout=layout,
            purchase="spot" if fleet.capacity[0].kind == "spot" else "on-demand",
            ami=fleet.ami,
            scaling=fleet.scaling,
        )
        CfnOutput(self, "AutoScalingGroup", value=made.group.ref)


def zones_offering(instance_types: Sequence[str], zones: Sequence[str], region: str) -> list[str]:
    """Those of the network's zones that offer one of the types; all where the catalogue cannot tell (zones by name)."""
    offered = {zone for name in instance_types for zone in regions.zones_offering(region, name)}
    return [zone for zone in zones if zone in offered] or list(zones)
