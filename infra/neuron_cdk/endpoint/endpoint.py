"""A SageMaker endpoint on Neuron hosts, from compiled models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct
from pydantic import ValidationError

from .. import spec
from ..model import ArtifactStore, CompiledModel
from ..model.image_mirror import PUBLIC, ImageMirror
from ..model.release import ReleasePipeline
from ..network.security_groups import client_security_group
from ..network.shape import Vpc
from ..place import arn, is_token, key_arn, place
from ..resource import resource
from ..spec.uses import endpoint_uses
from .async_output import AsyncOutput
from .capture import DataCapture
from .components import EndpointComponent
from .hook import EndpointHook, golden_rights
from .metrics import EndpointMetrics
from .names import component_name, endpoint_name
from .released import CONFIGURATION, KEY, MODEL, URI, blueprint, release_rights
from .role import endpoint_role, let_it_see_alarms
from .rollout import RolloutAlarms, deployment_config, retained, rollout_alarms
from .scaling import scaled, targets
from .variants import (
    Served,
    has_local_disks,
    model_properties,
    pinned,
    production_variant,
    served_model,
    serving_image,
    workers,
)


class NeuronEndpoint(Construct, EndpointMetrics):
    """Models on SageMaker hosts, private and encrypted, and updated so that a bad version is sent back.

    - A container gets its artifact uncompressed from S3 and no network (isolation): what is not in the artifact or in
      the image is not there, so nothing can be compiled or fetched at start-up.
    - ``InferenceAmiVersion`` is set wherever SageMaker has a Neuron host image (Inferentia2, Trainium): the default
      host carries a driver too old for any current container.
    - A changed model or configuration is a new one. The endpoint moves over as ``rollout`` says, and CloudFormation
      deletes the old ones after that.
    - An update is believed only after it is seen: behind the endpoint a resource compares what is in service with what
      was asked for, runs the smoke tests, and fails the stack otherwise. It owns scaling, too.
    - The endpoint's name is its stack's with a digest of its place: alarms must know it before it exists.
    - ``managed_by="pipeline"`` gives it to the release pipeline (:class:`ReleasePipeline`, here ``releases``) instead
      of CloudFormation: then a new artifact goes into service without a deploy.

    The parameters are the fields of an endpoint in the deployment file, under the same names, with the same defaults;
    :meth:`from_file` takes such an endpoint whole. In addition:

    :param vpc: any VPC with private subnets.
    :param store: holds artifacts, key and registry.
    :param model: what the main variant serves.
    :param models: every other model that ``components``, ``variants``, ``shadow`` or ``pool_models`` name.
    :param release_name: what releases call it, ``endpoint/<release_name>``; by default the endpoint's own name.
    :raises ValueError: for what SageMaker would refuse, or would do otherwise without saying so.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        vpc: Vpc,
        store: ArtifactStore,
        instance_types: Sequence[str],
        size: spec.Range,
        model: CompiledModel | None = None,
        models: Sequence[CompiledModel] = (),
        mode: Literal["realtime", "async"] = "realtime",
        managed_by: Literal["cloudformation", "pipeline"] = "cloudformation",
        release: spec.Release | None = None,
        release_name: str | None = None,
        components: Sequence[spec.Component] = (),
        pool_models: Mapping[str, str] | None = None,
        provision_timeout_minutes: int | None = None,
        reservation: str | None = None,
        async_inference: spec.AsyncInference | None = None,
        hosting: spec.Hosting | None = None,
        capture: spec.Capture | None = None,
        weight: float | None = None,
        variants: Mapping[str, spec.VariantSpec] | None = None,
        shadow: spec.Shadow | None = None,
        scaling: spec.EndpointScaling | None = None,
        schedule: Sequence[spec.ScheduledSize] = (),
        rollout: spec.Rollout | None = None,
    ) -> None:
        if isinstance(instance_types, str):
            raise ValueError(f'instance_types is one text, {instance_types!r}: give a list, ["{instance_types}"]')
        if not isinstance(model, CompiledModel | None):
            raise ValueError(f"model is {model!r}: give a CompiledModel, the construct that compiles it")
        given = {
            "model": model.name if model else None,
            "instance_types": tuple(instance_types),
            "size": size,
            "mode": mode,
            "managed_by": managed_by,
            "release": release,
            "components": tuple(components),
            "pool_models": dict(pool_models) if pool_models else None,
            "provision_timeout_minutes": provision_timeout_minutes,
            "reservation": reservation,
            "async_inference": async_inference,
            "hosting": hosting,
            "capture": capture,
            "weight": weight,
            "variants": dict(variants) if variants else None,
            "shadow": shadow,
            "scaling": scaling,
            "schedule": tuple(schedule),
            "rollout": rollout,
        }
        super().__init__(scope, construct_id)
        self._endpoint = endpoint = _endpoint(given)
        self._store, self._vpc = store, vpc
        self._compiled = {each.name: each for each in (*([model] if model else []), *models)}
        self._variants = spec.variants(endpoint)
        self._refuse_the_impossible()

        released = endpoint.managed_by == "pipeline"
        self.endpoint_name = endpoint_name(self, released=released)
        self.components: list[EndpointComponent] = []
        self.releases: ReleasePipeline | None = None
        self.async_output = self._async_output()
        self._capture = (
            DataCapture(self, "Capture", store=store, capture=endpoint.capture) if endpoint.capture else None
        )
        self._network = self._security_group()
        images = {name: self._image(name) for name in self._compiled}
        self.role = endpoint_role(
            self,
            "Role",
            vpc=vpc,
            security_group_id=self._network["securityGroupIds"][0],
            store=store,
            artifacts=["*"] if released else [each.artifact_key for each in self._compiled.values()],
            images=images.values(),
            allow=[
                *(self.async_output.rights_of_the_endpoint() if self.async_output else ()),
                *(self._capture.rights_of_the_endpoint() if self._capture else ()),
            ],
        )
        if released:
            self.endpoint_arn = arn(self, "sagemaker", f"endpoint/{self.endpoint_name}")
            self._release(images, release_name or self.endpoint_name)
            return
        self._served = {name: self._model(name, image) for name, image in images.items()}
        configuration = resource(
            sagemaker.CfnEndpointConfig, self, "Configuration", **self._configuration()
        ).attr_endpoint_config_name
        self._hook = EndpointHook(
            self,
            "Hook",
            endpoint=self.endpoint_name,
            components=self._component_names(),
            configuration=configuration,
            store=store,
            allow=[
                golden_rights(store, *(each.artifact_key for each in self._compiled.values())),
                *(self.async_output.rights_of_the_hook() if self.async_output else ()),
            ],
        )
        self.resource = self._resource(configuration)
        self.endpoint_arn = self.resource.ref
        self.components = self._components()
        self._hook.in_service(
            after=[self.resource, *(each.resource for each in self.components)],
            declaration=self._declaration(),
            artifacts=[each.compiled.artifact_key for each in self._served.values()],
        )

    @classmethod
    def from_file(
        cls,
        scope: Construct,
        construct_id: str,
        endpoint: spec.Endpoint,
        *,
        vpc: Vpc,
        store: ArtifactStore,
        models: Sequence[CompiledModel],
        release_name: str | None = None,
    ) -> NeuronEndpoint:
        """The endpoint of a deployment file. ``models`` are the compiled forms of those it names."""
        by_name = {each.name: each for each in models}
        fields = {name: getattr(endpoint, name) for name in spec.Endpoint.model_fields if name != "model"}
        return cls(
            scope,
            construct_id,
            vpc=vpc,
            store=store,
            model=by_name[endpoint.model] if endpoint.model else None,
            models=[each for each in models if each.name != endpoint.model],
            release_name=release_name,
            **fields,
        )

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a principal ask this endpoint and its components; an asynchronous one by way of its bucket."""
        if self.async_output:
            asked = iam.Grant.add_to_principal(
                grantee=grantee, actions=["sagemaker:InvokeEndpointAsync"], resource_arns=[self.endpoint_arn]
            )
            return asked.combine(self.async_output.grant_use(grantee))
        arns = [self.endpoint_arn, *(each.resource.ref for each in self.components)]
        return iam.Grant.add_to_principal(grantee=grantee, actions=["sagemaker:InvokeEndpoint"], resource_arns=arns)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _surroundings(self) -> spec.Surroundings:
        """What the endpoint's rules are told about stack and models; nothing of what is known at deploy only."""
        region, account = place(self)
        return spec.Surroundings(
            region=None if is_token(region) else region,
            account=None if is_token(account) else account,
            models={name: model.compile for name, model in self._compiled.items()},
            sizes_gb={name: model.size_gb for name, model in self._compiled.items()},
        )

    def _refuse_the_impossible(self) -> None:
        for _, name in endpoint_uses(self._endpoint):
            if name not in self._compiled:
                raise ValueError(f"no compiled model is called {name!r}: add it to models")
        spec.require_possible(self._endpoint, self._surroundings())

    def _security_group(self) -> dict[str, Any]:
        group = client_security_group(
            self, "SecurityGroup", vpc=self._vpc, description="Serving containers: TLS to AWS, nothing in"
        )
        return {
            "subnets": [subnet.subnet_id for subnet in self._vpc.private_subnets],
            "securityGroupIds": [group.attr_group_id],
        }

    def _image(self, name: str) -> str:
        """What serves a model; a copy where AWS publishes it for everybody, since SageMaker pulls from private
        registries only.
        """
        serving = serving_image(self, self._compiled[name])
        if serving.image.startswith(PUBLIC):
            mirror = ImageMirror(
                self, f"Image-{name}", store=self._store, image=serving.image, digest=serving.image_digest
            )
            return mirror.image
        return pinned(serving)

    def _async_output(self) -> AsyncOutput | None:
        if self._endpoint.mode != "async":
            return None
        settings = self._endpoint.async_inference or spec.AsyncInference()
        return AsyncOutput(self, "Async", store=self._store, settings=settings)

    def _model(self, name: str, image: str) -> Served:
        main = name == self._endpoint.model
        return served_model(
            self,
            "Model" if main else f"Model-{name}",
            self._compiled[name],
            image=image,
            role=self.role,
            network=None if self._endpoint.components else self._network,
            workers=self._workers(name),
        )

    def _workers(self, name: str) -> int:
        return workers(self._endpoint, self._variants, name, self._compiled[name])

    def _configuration(self) -> dict[str, Any]:
        """The properties of the endpoint configuration."""
        endpoint = self._endpoint
        optional: dict[str, Any] = {}
        shadows = [self._variant(each) for each in self._variants if each.shadow]
        if shadows:
            optional["shadow_production_variants"] = shadows
        if self.async_output:
            optional["async_inference_config"] = self.async_output.configuration()
        if self._capture:
            optional["data_capture_config"] = self._capture.configuration()
        if endpoint.components:
            optional["execution_role_arn"] = self.role.role_arn
            optional["enable_network_isolation"] = True
            optional["vpc_config"] = self._network
        if key := self._volume_key():
            optional["kms_key_id"] = key_arn(key)
        return {
            "production_variants": [self._variant(each) for each in self._variants if not each.shadow],
            **optional,
        }

    def _volume_key(self) -> kms.IKey | None:
        """What the volumes are encrypted with; none where hosts have disks of their own, which encrypt in hardware."""
        return None if has_local_disks(self._variants) else self._store.key

    def _variant(self, variant: spec.Variant) -> dict[str, Any]:
        weight = variant.weight
        if not self._endpoint.variants:  # a weight alone is all of the traffic, and a shadow's a share of that
            weight = variant.weight / 100 if variant.shadow else 1
        return production_variant(variant, self._endpoint, self._served, weight)

    def _resource(self, configuration: str) -> sagemaker.CfnEndpoint:
        endpoint = self._endpoint
        alarms = self._alarms(configuration)
        named = endpoint.rollout.alarms
        made = resource(
            sagemaker.CfnEndpoint,
            self,
            "Resource",
            endpoint_name=self.endpoint_name,
            endpoint_config_name=configuration,
            retain_all_variant_properties=True,
            exclude_retained_variant_properties=retained(scaled=scaled(endpoint)),
            deployment_config=deployment_config(endpoint, [*(alarm.ref for alarm in alarms), *named]),
        )
        made.add_resource_dependency(self._hook.change)
        if (alarms or named) and not spec.on_inf1(endpoint):
            seen = let_it_see_alarms(self, "SeeAlarms", role=self.role, alarms=alarms, named=named)
            made.add_resource_dependency(seen)
        return made

    def _alarms(self, configuration: str) -> list[cloudwatch.CfnAlarm]:
        """On the new fleet of each production variant."""
        endpoint = self._endpoint
        if endpoint.components or spec.on_inf1(endpoint):
            return []
        made: list[cloudwatch.CfnAlarm] = []
        for variant in self._variants:
            if not variant.shadow:
                main = variant.name == spec.MAIN
                watched = RolloutAlarms(
                    self,
                    "Alarms" if main else f"Alarms-{variant.name}",
                    rollout=endpoint.rollout,
                    dimensions={
                        "EndpointName": self.endpoint_name,
                        "VariantName": variant.name,
                        "EndpointConfigName": configuration,
                    },
                )
                made += watched.alarms
        return made

    def _release(self, images: Mapping[str, str], name: str) -> None:
        """The endpoint in the hands of the release pipeline, of one model."""
        endpoint, store = self._endpoint, self._store
        ((compiled, image),) = ((self._compiled[each], image) for each, image in images.items())
        self._served = {compiled.name: Served(compiled, MODEL, image, artifact=KEY)}
        releases = ReleasePipeline(
            self,
            "Releases",
            target=f"endpoint/{name}",
            model=compiled,
            store=store,
            allow=[
                *release_rights(self, self.endpoint_name, self.role, self._volume_key()),
                golden_rights(store, "*"),
                *(self.async_output.rights_of_the_hook() if self.async_output else ()),
            ],
            approval=endpoint.release is not None and endpoint.release.approval,
        )
        self.releases = releases
        dimensions = {
            "EndpointName": self.endpoint_name,
            "VariantName": spec.MAIN,
            "EndpointConfigName": CONFIGURATION,
        }
        alarms = {} if spec.on_inf1(endpoint) else rollout_alarms(endpoint.rollout, dimensions)
        seen = []
        if (alarms or endpoint.rollout.alarms) and not spec.on_inf1(endpoint):
            ours = [f"{self.endpoint_name}-*"] if alarms else []
            seen.append(let_it_see_alarms(self, "SeeAlarms", role=self.role, named=[*ours, *endpoint.rollout.alarms]))
        made = blueprint(
            endpoint=self.endpoint_name,
            model=model_properties(
                URI, image=image, role=self.role, network=self._network, workers=self._workers(str(endpoint.model))
            ),
            configuration=self._configuration(),
            deployment=deployment_config(
                endpoint, [*(f"{CONFIGURATION}-{each}" for each in alarms), *endpoint.rollout.alarms]
            ),
            exclude=retained(scaled=scaled(endpoint)),
            alarms=alarms,
            service=self._declaration(),
            tagged=self.role,
        )
        releases.declare(made, after=[self.role, *seen])

    def _component_names(self) -> list[str]:
        return [component_name(self.endpoint_name, component.model) for component in self._endpoint.components]

    def _components(self) -> list[EndpointComponent]:
        return [
            EndpointComponent(
                self,
                f"Component-{component.model}",
                component,
                endpoint=self._endpoint,
                on=self.resource,
                endpoint_name=self.endpoint_name,
                served=self._served[component.model],
            )
            for component in self._endpoint.components
        ]

    def _declaration(self) -> dict[str, Any]:
        """What is to be in service and how its size moves, as the hook reads it."""
        return {
            "variants": [
                {"name": each.name, "shadow": each.shadow, "pools": self._pools(each)} for each in self._variants
            ],
            "components": [each.declaration() for each in self.components],
            "scaling": {"targets": targets(self._endpoint, self.endpoint_name, self._variants, self.components)},
            "smoke_tests": self._smoke_tests(),
            "async": {"input_prefix": self.async_output.smoke_uri} if self.async_output else None,
        }

    def _pools(self, variant: spec.Variant) -> list[dict[str, Any]]:
        pools: list[dict[str, Any]] = []
        for name in variant.types:
            pool: dict[str, Any] = {"instance_type": name, "model": None, "artifact": None, "image": None}
            if served := self._served.get(str(variant.model_of(name))):
                pool |= {"model": served.name, "artifact": served.artifact, "image": served.image}
            pools.append(pool)
        return pools

    def _smoke_tests(self) -> list[dict[str, Any]]:
        """One for everything that can be asked by name; a shadow cannot, and a queue has one way in."""
        queue = self.async_output is not None
        asked = [
            (self._compiled[str(each.model)], {"variant": None if queue else each.name, "component": None})
            for each in self._variants
            if each.model and not each.shadow
        ]
        asked += [(each.served.compiled, {"variant": None, "component": each.name}) for each in self.components]
        return [
            {
                **where,
                "mode": self._endpoint.mode,
                "request": model.smoke_test.request,
                "max_latency_ms": model.smoke_test.max_latency_ms,
            }
            for model, where in asked
            if model.smoke_test
        ]


def _endpoint(given: Mapping[str, Any]) -> spec.Endpoint:
    """The endpoint as the deployment file would have it. Raises ``ValueError``, a value that is wrong a line."""
    try:
        return spec.Endpoint(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}, given {one['input']!r:.60}" for one in error.errors()
        ]
        raise ValueError("\n".join(wrong)) from None
