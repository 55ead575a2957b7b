"""A fleet of Neuron instances: launch template, EFA, capacity pools, controller, model servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct
from pydantic import ValidationError

from .. import spec
from ..catalog import instances, software
from ..model import ArtifactStore, CompiledModel
from ..model.release import ReleasePipeline
from ..network.efa import EfaSecurityGroup, network_interfaces
from ..network.security_groups import client_security_group
from ..network.shape import Vpc
from ..place import is_token, place
from ..spec.deployment import EfaLayout
from . import neuron_metrics
from .controller import FleetController
from .controls import configuration, owns_size
from .escape import Additions, Existing
from .group import LAUNCH_HOOK, TERMINATE_HOOK, Lifecycle, PoolGroup
from .launch_template import FleetLaunchTemplates, ami_parameter
from .load_balancer import FleetLoadBalancer
from .released import ReleasedVersions, declaration, release_rights, version_rights
from .role import FLEET_TAG, InstanceRole
from .scaling import query, track_natively
from .user_data import Boot, ModelServer, user_data
from .warm_pool import warm_pool


class NeuronFleet(Construct):
    """Instances of one chip, bought in the order of ``capacity``, that count only once they are ready.

    - With EFA: one interface a network card in a documented layout, a cluster placement group, one zone and one subnet
      (EFA's traffic crosses neither), a security group open to itself.
    - Capacity is cut into pools, an Auto Scaling group each; one controller owns the fleet's size and splits it over
      them. It moves on when a pool is short or ends, and back when the better one has been quiet for a while. Training
      fleets are gangs: whole in one pool, or nowhere.
    - The AMI is a CloudFormation parameter that resolves the Neuron AMI's SSM parameter to an id at deploy, so that
      every launch-template version names a real image.
    - An instance joins (and is registered with the load balancer) after EFA, the Neuron devices and the model have
      answered on it; before it leaves it finishes what it does.
    - IMDSv2 only; volumes under the key; no address from outside; no key pair: Session Manager is the way in.
    - The template never says how many instances there are, only the bounds: a deploy must not undo what scaling did.

    The parameters are the fields of a fleet in the deployment file, under the same names, with the same defaults and
    refused for the same reasons (``ValueError``); :meth:`from_file` takes such a fleet whole. In addition:

    :param vpc: any VPC with private subnets.
    :param store: holds state and artifacts; its key encrypts volumes unless ``existing`` has one.
    :param zones: availability zones as ``vpc`` calls them (``NeuronNetwork``: ids); with EFA exactly one, else all of
        the network's when not given.
    :param model: what the instances serve, behind an internal load balancer.
    :param release_name: with ``managed_by="pipeline"``: what the registry and the command line call it, as
        ``fleet/<release_name>``; by default its path.
    :param existing: resources of yours to take instead.
    :param additions: policies, commands and block devices on top.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: Vpc,
        store: ArtifactStore,
        purpose: Literal["training", "inference"],
        instance_types: Sequence[str],
        size: spec.Size,
        zones: Sequence[str] | None = None,
        efa: spec.Efa | None = None,
        ami: str | None = None,
        capacity: Sequence[spec.Capacity] | None = None,
        scaling: spec.FleetScaling | None = None,
        schedule: Sequence[spec.ScheduledSize] = (),
        model: CompiledModel | None = None,
        managed_by: Literal["cloudformation", "pipeline"] = "cloudformation",
        release: spec.Release | None = None,
        release_name: str | None = None,
        serving: spec.Serving | None = None,
        warm_pool: spec.WarmPool | None = None,
        refresh: spec.Refresh | None = None,
        max_lifetime_days: int | None = None,
        return_after_minutes: int | None = None,
        drain_minutes: int | None = None,
        existing: Existing | None = None,
        additions: Additions | None = None,
    ) -> None:
        if isinstance(instance_types, str):
            raise ValueError(f'instance_types is one text, {instance_types!r}: give a list, ["{instance_types}"]')
        if not isinstance(model, CompiledModel | None):
            raise ValueError(f"model is {model!r}: give a CompiledModel, the construct that compiles it")
        given = {
            "purpose": purpose,
            "instance_types": tuple(instance_types),
            "size": size,
            "efa": efa,
            "ami": ami,
            "capacity": tuple(capacity) if capacity is not None else None,
            "scaling": scaling,
            "schedule": tuple(schedule),
            "model": model.name if model else None,
            "managed_by": managed_by,
            "release": release,
            "serving": serving,
            "warm_pool": warm_pool,
            "refresh": refresh,
            "max_lifetime_days": max_lifetime_days,
            "return_after_minutes": return_after_minutes,
            "drain_minutes": drain_minutes,
        }
        super().__init__(scope, construct_id)
        self.name = self.node.path
        """Its path: the value of the metric dimension ``Fleet`` and of the tag ``neuron-cdk:fleet``."""
        self._fleet = fleet = _fleet(given)
        self._existing = existing = existing or Existing()
        self._additions = additions = additions or Additions()
        self._store, self._vpc, self._model = store, vpc, model
        self._key: kms.IKey = existing.key or store.key
        layout = self._checked_layout(zones)
        self._types = [instances.get(name) for name in fleet.instance_types]

        self._server = self._model_server()
        self.security_group_id = self._security_group(layout)
        self.load_balancer = self._balanced() if self._server else None
        self._role = InstanceRole(
            self,
            "Role",
            fleet=self.name,
            store=store,
            artifact=self._artifact(),
            image=self._server.image if self._server else None,
            existing=existing,
            additions=additions,
        )
        self.releases: ReleasePipeline | None = None
        """What brings new artifacts to the instances; None where deploys do."""
        templates = self._launch_templates(layout)
        versions = self._versions(templates)
        if fleet.managed_by == "pipeline":
            self._release(templates, versions, self._subnets(zones), release_name or self.name)
            return
        self.pools = self._pool_groups(versions, self._subnets(zones))
        self.controller = self._controlled(self._refreshed())
        self.controller.release(templates.version["version"])

    @classmethod
    def from_file(
        cls,
        scope: Construct,
        construct_id: str,
        fleet: spec.Fleet,
        *,
        vpc: Vpc,
        store: ArtifactStore,
        zones: Sequence[str] | None = None,
        model: CompiledModel | None = None,
        release_name: str | None = None,
        existing: Existing | None = None,
        additions: Additions | None = None,
    ) -> NeuronFleet:
        """The fleet of a deployment file. ``model`` is the compiled form of the one it names."""
        fields = {name: getattr(fleet, name) for name in spec.Fleet.model_fields if name not in ("model", "zone")}
        return cls(
            scope,
            construct_id,
            vpc=vpc,
            store=store,
            zones=zones,
            model=model,
            release_name=release_name,
            existing=existing,
            additions=additions,
            **fields,
        )

    @property
    def role(self) -> iam.IRole:
        """What the instances act as: grant it what your model needs beside the artifact."""
        return self._role.grantee

    def metric_neuroncore_utilization(self) -> cloudwatch.Metric:
        """Mean over the fleet's NeuronCores, in percent, one value a minute and instance."""
        return self._metric(neuron_metrics.METRIC, "Average")

    def metric_unplaced(self) -> cloudwatch.Metric:
        """Instances that the fleet should have and no pool can give: the maximum of a minute."""
        return self._metric("Unplaced", "Maximum")

    def metric_moves(self) -> cloudwatch.Metric:
        """Times that capacity moved from one pool to another, a sum."""
        return self._metric("Moves", "Sum")

    def metric_in_service(self, pool: str) -> cloudwatch.Metric:
        """Instances in service in a pool, by its name (``spot``)."""
        return self._metric("InService", "Maximum", Pool=pool)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _metric(self, name: str, statistic: str, **dimensions: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=neuron_metrics.NAMESPACE,
            metric_name=name,
            statistic=statistic,
            dimensions_map={"Fleet": self.name, **dimensions},
        )

    def _checked_layout(self, zones: Sequence[str] | None) -> EfaLayout:
        """The EFA layout, once everything is found possible."""
        spec.require_possible(self._fleet, self._surroundings())
        first = instances.get(self._fleet.instance_types[0])
        layout = self._fleet.efa.layout if self._fleet.efa else instances.default_efa_layout(first)
        if layout != "none" and (zones is None or len(zones) != 1):
            raise ValueError(f"a fleet with EFA lives in one zone: say which (zones), {first.name} has EFA")
        return layout

    def _surroundings(self) -> spec.Surroundings:
        """What the fleet's rules are told about the stack and the network; nothing of what is known at deploy only."""
        region, account = place(self)
        zones = [subnet.availability_zone for subnet in self._vpc.private_subnets]
        return spec.Surroundings(
            region=None if is_token(region) else region,
            account=None if is_token(account) else account,
            zones=None if any(map(is_token, zones)) else tuple(zones),
            model=self._model.compile if self._model else None,
        )

    def _model_server(self) -> ModelServer | None:
        if self._model is None:
            return None
        image = software.resolve(
            target=self._model.target,
            engine=self._model.engine,
            service="ec2",
            region=place(self)[0],
            sdk=self._model.sdk,
        ).image
        return ModelServer(
            model=self._model.name,
            engine=self._model.engine,
            image=image,
            artifact_uri=self._model.artifact_uri,
            cores_per_copy=self._model.compile.tensor_parallel,
            drain_seconds=self._fleet.drain_minutes * 60,
        )

    def _balanced(self) -> FleetLoadBalancer:
        assert self._server is not None
        serving = self._fleet.serving or spec.Serving()
        return FleetLoadBalancer(
            self,
            "LoadBalancer",
            vpc=self._vpc,
            store=self._store,
            server=self._server,
            security_group_id=self.security_group_id,
            kind=serving.load_balancer,
            certificate=serving.certificate,
        )

    def _security_group(self, layout: EfaLayout) -> str:
        if self._existing.security_group:
            return self._existing.security_group.security_group_id
        if layout == "none":
            return client_security_group(
                self, "SecurityGroup", vpc=self._vpc, description="Fleet: TLS to AWS, nothing in"
            ).attr_group_id
        return EfaSecurityGroup(self, "SecurityGroup", vpc=self._vpc).security_group_id

    def _subnets(self, zones: Sequence[str] | None) -> list[str]:
        of_the_vpc = self._vpc.private_subnets
        subnets = [subnet.subnet_id for subnet in of_the_vpc if zones is None or subnet.availability_zone in zones]
        if not subnets:
            has = ", ".join(subnet.availability_zone for subnet in of_the_vpc)
            raise ValueError(f"the network has no private subnet in {', '.join(zones or ())}; it has {has}")
        return subnets

    def _launch_templates(self, layout: EfaLayout) -> FleetLaunchTemplates:
        first = self._types[0]
        interfaces = network_interfaces(first.name, layout=layout, security_group_id=self.security_group_id)
        target = str(first.target)
        boot = Boot(
            fleet=self.name,
            region=place(self)[0],
            efa_interfaces=0 if layout == "none" else first.efa_interfaces,
            # A pinned image brings its own driver.
            driver=None if self._fleet.ami else software.host_driver(target),
            scratch=any(each.local_disk_gb for each in self._types),
            launch_hook=LAUNCH_HOOK,
            terminate_hook=TERMINATE_HOOK,
            server=self._server,
            commands=tuple(self._additions.commands),
            devices=tuple((each.name, each.accelerators) for each in self._types),
        )
        return FleetLaunchTemplates(
            self,
            "LaunchTemplate",
            instance=first,
            image_id=self._fleet.ami or ami_parameter(self, first),
            role_name=self._role.name,
            key=self._key,
            interfaces=interfaces,
            clustered=layout != "none",
            user_data=user_data(boot),
            block_devices=self._additions.block_devices,
            tags={"Name": self.name, FLEET_TAG: self.name},
        )

    def _artifact(self) -> str | None:
        if self._model is None:
            return None
        return "*" if self._fleet.managed_by == "pipeline" else self._model.artifact_key

    def _versions(self, templates: FleetLaunchTemplates) -> dict[str, dict[str, str]]:
        """The launch template of each pool, in CloudFormation's latest version."""
        return {
            pool.name: templates.for_capacity_blocks() if pool.kinds[0] == "capacity-block" else templates.version
            for pool in spec.pools(self._fleet.capacity)
        }

    def _release(
        self,
        templates: FleetLaunchTemplates,
        versions: Mapping[str, dict[str, str]],
        subnets: Sequence[str],
        name: str,
    ) -> None:
        """The fleet in the hands of a release pipeline: it gives groups their version and replaces instances.

        CloudFormation goes on making the launch template's own versions, of which releases are made.
        """
        model, release = self._model, self._fleet.release
        assert model is not None
        target = f"fleet/{name}"
        rights = (self, self.name, templates.versions, self._role.arn)
        released = ReleasedVersions(
            self,
            "Version",
            target=target,
            store=self._store,
            templates=templates.versions,
            allow=version_rights(*rights),
        )
        self.pools = self._pool_groups({pool: released.of(each) for pool, each in versions.items()}, subnets)
        kept = released.tell(self.pools)
        self.controller = self._controlled(None)
        ready = self.controller.release("released")
        self.releases = ReleasePipeline(
            self,
            "Releases",
            target=target,
            model=model,
            store=self._store,
            allow=release_rights(*rights),
            approval=release is not None and release.approval,
        )
        refresh = self._refreshed()
        assert refresh is not None
        self.releases.declare(declaration(self.pools, versions, refresh, model.sdk), after=[kept, ready])

    def _pool_groups(self, versions: Mapping[str, dict[str, str]], subnets: Sequence[str]) -> list[PoolGroup]:
        fleet = self._fleet
        balancer = self.load_balancer
        lifecycle = Lifecycle(
            drain_seconds=fleet.drain_minutes * 60,
            max_lifetime_days=fleet.max_lifetime_days,
            gang=fleet.purpose == "training",
            health="ELB" if balancer else "EC2",
            target_groups=[balancer.target_group_arn] if balancer else [],
        )
        # Where a controller owns the fleet's size, a group may be empty.
        bounds = spec.Range(min=0 if owns_size(self._fleet) else fleet.size.min, max=fleet.size.max)
        groups = []
        for pool in spec.pools(fleet.capacity):
            group = PoolGroup(
                self,
                pool,
                fleet=self.name,
                version=versions[pool.name],
                instance_types=fleet.instance_types,
                subnets=subnets,
                bounds=bounds,
                lifecycle=lifecycle,
            )
            if balancer:
                group.resource.add_resource_dependency(
                    balancer.listener
                )  # a target group is of use once a listener knows it
            groups.append(group)
        if fleet.warm_pool:
            warm_pool(self, groups[0].resource, size=fleet.warm_pool.size)
        return groups

    def _controlled(self, refresh: Mapping[str, Any] | None) -> FleetController:
        """
        :param refresh: how it replaces running instances; None where it does not.
        """
        fleet, scaling = self._fleet, self._fleet.scaling
        sized = owns_size(fleet)
        followed = query(scaling, self.name, self.load_balancer) if scaling else None
        if scaling and followed and not sized:
            track_natively(self, self.pools[0].resource, scaling, followed, self.load_balancer)
        return FleetController(
            self,
            "Controller",
            fleet=self.name,
            store=self._store,
            groups=self.pools,
            configuration=configuration(
                self.name, fleet, self.pools, query=followed.to_json() if followed and sized else None, refresh=refresh
            ),
            schedule=fleet.schedule,
        )

    def _refreshed(self) -> dict[str, Any] | None:
        """How running instances are replaced when image, model or user data change; None: they stay as they are."""
        wanted = self._fleet.refresh or (spec.Refresh() if self._model else None)
        if wanted is None or self._fleet.purpose == "training":  # a gang is not replaced under its job
            return None
        alarms = []
        if self.load_balancer:
            alarms = [self.load_balancer.unhealthy_alarm().ref]
        return {
            "min_healthy_percent": wanted.min_healthy_percent,
            "checkpoints": list(wanted.checkpoints),
            "bake_seconds": wanted.bake_minutes * 60,
            "alarms": alarms,
            "warmup_s": 0,  # the launch hook holds an instance back until it is warm
        }


def _fleet(given: Mapping[str, Any]) -> spec.Fleet:
    """The fleet as the deployment file would have it. Raises ``ValueError``, a value that is wrong a line."""
    try:
        return spec.Fleet(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}, given {one['input']!r:.60}" for one in error.errors()
        ]
        raise ValueError("\n".join(wrong)) from None
