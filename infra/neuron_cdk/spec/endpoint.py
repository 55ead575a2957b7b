"""A SageMaker endpoint, as the deployment file has it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .base import Part, Range, Release, ScheduledSize
from .fields import AlarmName, Count, MlReservation, MlType, Name, Number, Positive, Word, refusal

RolloutKind = Literal["all-at-once", "canary", "linear", "rolling"]
Percent = Annotated[int, Field(strict=True, ge=1, le=100)]
Weight = Annotated[float, Field(strict=True, ge=0, le=1_000_000)]
Days = Annotated[int, Field(strict=True, ge=1, le=3650)]
Timeout = Annotated[int, Field(strict=True, ge=60, le=3600)]  # ProductionVariant's own limits
Wait = Annotated[int, Field(strict=True, ge=0, le=60)]  # 3,600 s is the most of every wait of a DeploymentConfig


class Component(Part):
    """A model's share of an endpoint."""

    model: Name
    """A name from models."""
    copies: Range
    """How many copies of the model."""
    accelerators: Count = 0
    """Accelerators a copy. Default: none, which is for models of target cpu."""
    cpus: Annotated[float, Field(strict=True, ge=0.25, le=1024)] | None = None
    """Cores of the host's processor a copy. Default: SageMaker reserves none."""
    memory_mib: Annotated[int, Field(strict=True, ge=128, le=16_777_216)]
    """Host memory a copy, MiB."""


class Hosting(Part):
    """Room and time for a model to arrive in. What is not given is derived from the models' size_gb."""

    volume_gb: Annotated[int, Field(strict=True, ge=1, le=512)] | None = None
    """Disk of an instance, GB; for instance types without a local one."""
    download_timeout_s: Timeout | None = None
    """How long the model may take from S3 to the instance, seconds."""
    startup_timeout_s: Timeout | None = None
    """How long the container may take until it answers, seconds."""


class AsyncInference(Part):
    """How an asynchronous endpoint takes its requests and keeps its answers."""

    max_concurrent_per_instance: Annotated[int, Field(strict=True, ge=1, le=1000)] | None = None
    """Requests that an instance works on at once. Default: SageMaker chooses."""
    retention_days: Days = 30
    """Answers, and what went wrong, are deleted after so many days."""
    responses_in_topic: Annotated[bool, Field(strict=True)] = False
    """Whether notices carry the answer too, for as long as it fits into one."""


class Capture(Part):
    """Requests and answers kept in S3."""

    percent: Percent
    """How many of the requests."""
    retention_days: Days = 30
    """Deleted after so many days."""


class VariantSpec(Part):
    """A further production variant, which answers its share of the requests."""

    model: Name
    """A name from models."""
    weight: Weight = 1
    """Its share of the requests is its weight in the sum of all weights."""
    instance_types: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    """SageMaker names. Default: the endpoint's."""
    size: Range | None = None
    """How many instances. Default: as many as the endpoint's own."""


class Shadow(Part):
    """A variant that gets copies of requests, and whose answers nobody sees."""

    model: Name
    """A name from models."""
    percent: Percent
    """How many of the requests are copied."""
    instance_types: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    """SageMaker names. Default: the endpoint's."""
    size: Range | None = None
    """How many instances. Default: as many as the endpoint's own."""


class Step(Part):
    """One step of step scaling."""

    above: Annotated[float, Field(strict=True, ge=0, le=1e12)]
    """How far the metric is above the target."""
    add: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    """So many instances, or copies, are added from there on."""


class EndpointScaling(Part):
    """How an endpoint's size follows a metric."""

    metric: Literal["concurrent-requests", "invocations-per-instance", "backlog"]
    """What is held at the target; backlog is for async."""
    target: Number
    """Requests at once, invocations a minute, or waiting requests, an instance; a copy where there are components."""
    steps: Annotated[tuple[Step, ...], Field(max_length=20)] = ()
    """Ascending. Default: none, and AWS tracks the target. With steps it grows by them alone."""
    scale_in_cooldown_s: Count = 300
    """Seconds to wait after shrinking."""
    scale_out_cooldown_s: Count = 60
    """Seconds to wait after growing."""

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        above = [step.above for step in self.steps]
        if above != sorted(set(above)):
            raise refusal(
                "NCDK-SCALE-012",
                "steps do not ascend",
                allowed="each step above the one before",
                fix="write them like [{above: 0, add: 1}, {above: 20, add: 3}]",
            )
        return self


class Rollout(Part):
    """How traffic moves to a new version, and what sends it back."""

    kind: RolloutKind | None = None
    """All at once, a first share, equal shares, or instances in batches. Default: rolling from two instances on, where
    SageMaker rolls such an endpoint; else all at once."""
    percent: Percent | None = None
    """Size of the first share, of each share, or of a batch. Default: 10 for canary, 25 for linear, 50 for rolling."""
    wait_minutes: Wait | None = None
    """Between two shifts; alarms are watched meanwhile. Default: 5 where alarms watch, else 0. Rolling has one wait,
    after every batch: give this or bake_minutes."""
    bake_minutes: Wait | None = None
    """After the last shift, while the old instances are still there. Default: 5 where alarms watch, else 0."""
    max_minutes: Annotated[int, Field(strict=True, ge=10, le=480)] | None = None
    """The whole takes no longer, or is rolled back. Default: SageMaker's."""
    max_error_rate: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    """Share of failed requests (0 to 1) above which it is rolled back."""
    max_p99_ms: Positive | None = None
    """p99 latency in milliseconds above which it is rolled back."""
    alarms: Annotated[tuple[AlarmName, ...], Field(max_length=10)] = ()
    """Names of CloudWatch alarms that exist, and send it back too: on Neuron errors, where a container tells them."""


class Endpoint(Part):
    """A SageMaker endpoint."""

    model: Name | None = None
    """A name from models; or components."""
    instance_types: Annotated[tuple[Word, ...], Field(min_length=1)]
    """SageMaker names (ml.…); more than one are pools in order of priority."""
    pool_models: Annotated[dict[MlType, Name], Field(max_length=5)] = {}
    """What a pool serves instead of model, by instance type: each chip its own artifact."""
    provision_timeout_minutes: Annotated[int, Field(strict=True, ge=5, le=60)] | None = None
    """How long instances are looked for before SageMaker gives up. Default: its own."""
    reservation: MlReservation | None = None
    """ARN of an ML reservation; instances then come from there alone."""
    mode: Literal["realtime", "async"] = "realtime"
    """Answer at once, or queue and write the answer to S3."""
    async_inference: AsyncInference | None = None
    """How an async endpoint works. Default: async_inference: {}."""
    managed_by: Literal["cloudformation", "pipeline"] = "cloudformation"
    """Who changes it: deploys, or the release pipeline. Never both."""
    release: Release | None = None
    """With managed_by: pipeline. Default: release: {approval: false}."""
    size: Range
    """How many instances."""
    components: Annotated[tuple[Component, ...], Field(max_length=100)] = ()
    """Several models on the same instances, instead of model."""
    hosting: Hosting = Hosting()
    """Default: derived from the models' size_gb."""
    capture: Capture | None = None
    """Default: nothing is kept."""
    weight: Weight = 1
    """With variants: the share of the endpoint's own model."""
    variants: Annotated[dict[Name, VariantSpec], Field(max_length=9)] = {}
    """Further production variants, by name."""
    shadow: Shadow | None = None
    """Default: none."""
    scaling: EndpointScaling | None = None
    """Default: none."""
    schedule: Annotated[tuple[ScheduledSize, ...], Field(max_length=24)] = ()
    """Other limits of size, for the endpoint's own model. Default: none."""
    rollout: Rollout = Rollout()
    """Default: as rollout.kind says, and nothing watched."""
