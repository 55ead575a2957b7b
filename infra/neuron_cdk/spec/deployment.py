"""The deployment file as types: what should exist in one account and region.

A model refuses fields it does not know, and a field without a value counts as absent. Rules that need the catalogue, or
two parts of the file, are in :mod:`neuron_cdk.spec.checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PrivateAttr, Tag, model_validator

from .base import Part, Release, ScheduledSize, Size
from .endpoint import Endpoint
from .fields import (
    Account,
    Ami,
    Branch,
    Certificate,
    Commit,
    CompilerArgument,
    Count,
    DeploymentName,
    Email,
    FilePattern,
    GitHubRepository,
    HuggingFaceName,
    Name,
    Number,
    Positive,
    Queue,
    Reservation,
    S3Uri,
    Sdk,
    SecretArn,
    SubnetId,
    TagKey,
    TagValue,
    Task,
    VpcId,
    Word,
    refusal,
)
from .source import Source

Engine = Literal[
    "torch-neuronx",
    "optimum",
    "nxd-inference",
    "vllm",
    "neuronx-cc",
    "tensorflow-neuronx",
    "torch-neuron",
    "onnxruntime",
]
Target = Literal["inf1", "inf2", "trn1", "trn1n", "trn2", "cpu"]
DType = Literal["fp32", "fp16", "bf16", "fp8"]
EfaLayout = Literal["efa", "efa-only", "none"]
SOURCE_KINDS = ("s3", "huggingface", "path")


class Environment(Part):
    """Where it goes."""

    account: Account
    """AWS account id, twelve digits in quotes."""
    region: Word
    """AWS region, such as us-east-1."""


def _zones_form(value: object) -> str:
    return "list" if isinstance(value, (list, tuple)) else "count"


class Network(Part):
    """A new VPC (cidr), or one that exists (vpc_id with subnet_ids)."""

    cidr: Word | None = None
    """Address range of a new VPC, such as 10.40.0.0/16."""
    vpc_id: VpcId | None = None
    """A VPC that exists, instead of cidr."""
    subnet_ids: tuple[SubnetId, ...] = ()
    """With vpc_id: its private subnets, one a zone, in the order of availability_zones."""
    availability_zones: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=6), Tag("count")]
        | Annotated[tuple[Word, ...], Field(min_length=1, max_length=6), Tag("list")],
        Discriminator(_zones_form),
    ]
    """How many zones (chosen so that they offer what the file asks for), or the zone ids themselves."""
    egress: Literal["nat", "endpoints-only"]
    """The way out of the private subnets: a NAT gateway in every zone, or VPC endpoints and nothing else."""


Patterns = Annotated[tuple[FilePattern, ...], Field(max_length=32)]


class S3Source(Part):
    """Model files under an S3 prefix."""

    s3: S3Uri
    """s3://bucket/prefix/"""
    include: Patterns = ()
    """Pickles that may be among the files (*.bin, *.pt), by name; a pickle that no pattern names is refused."""
    watch: Annotated[bool, Field(strict=True)] = False
    """Whether what is uploaded there later is compiled too, without a deploy."""


class HuggingFaceSource(Part):
    """A Hugging Face repository at one commit."""

    huggingface: HuggingFaceName
    """organisation/name"""
    revision: Commit
    """Full commit: 40 hexadecimal digits."""
    token: SecretArn | None = None
    """ARN of a secret that holds an access token, for what is private or gated. Default: none is sent."""
    include: Patterns = ()
    """Files to take beside safetensors, ONNX, tokenizers, configurations and licences; pickles among them."""
    mirror: S3Uri | None = None
    """An S3 prefix that holds the commit's files already: s3://bucket/prefix/. Nothing is fetched from the hub."""


class PathSource(Part):
    """A folder of the repository, uploaded as an asset."""

    path: Annotated[str, Field(strict=True, min_length=1, max_length=1000)]
    """Relative to the folder that the command runs in, and below it."""
    include: Patterns = ()
    """Pickles that may be among the files (*.bin, *.pt), by name; a pickle that no pattern names is refused."""


def _source_kind(value: object) -> str | None:
    if isinstance(value, Part):
        value = value.model_dump()
    given = [kind for kind in SOURCE_KINDS if isinstance(value, dict) and value.get(kind) is not None]
    return f"{given[0]} source" if len(given) == 1 else None


ModelSource = Annotated[
    Annotated[S3Source, Tag("s3 source")]
    | Annotated[HuggingFaceSource, Tag("huggingface source")]
    | Annotated[PathSource, Tag("path source")],
    Discriminator(
        _source_kind,
        custom_error_type="NCDK-SOURCE-001",
        custom_error_message="a model has exactly one source",
        custom_error_context={
            "allowed": "one of s3, huggingface (with revision), path",
            "fix": "keep one of them",
        },
    ),
]


class Compile(Part):
    """How the model becomes a program for a chip. Everything here is part of the artifact's key."""

    engine: Engine
    """The tool chain that compiles and serves it."""
    target: Target
    """The chip it is compiled for; cpu is for the embedded AWS."""
    sdk: Sdk | None = None
    """Neuron SDK (ONNX Runtime for cpu). Default: the newest that target, engine and service support together."""
    dtype: DType = "fp32"
    """Precision of the compiled program."""
    batch_sizes: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=32)] = (1,)
    """One program for each."""
    sequence_lengths: Annotated[tuple[Positive, ...], Field(max_length=32)] = ()
    """In tokens; one program for each, times the batch sizes."""
    tensor_parallel: Positive = 1
    """NeuronCores that one copy of the model is spread over."""
    compiler_args: Annotated[tuple[CompilerArgument, ...], Field(max_length=64)] = ()
    """Handed to the compiler after our own arguments."""
    timeout_minutes: Annotated[int, Field(strict=True, ge=1, le=12_960)] = 120
    """How long one compile may run; SageMaker's own limit is nine days."""


class SmokeTest(Part):
    """A request that proves the model answers."""

    request: Any
    """Sent as JSON."""
    max_latency_ms: Annotated[int, Field(strict=True, ge=1, le=60_000)] | None = None
    """Slower is a failure; a real-time endpoint gives up after 60 seconds anyway."""


class Model(Part):
    """Something to compile once and serve."""

    source: ModelSource
    """Where its files are."""
    task: Task
    """What it does, such as feature-extraction."""
    compile: Compile
    """What it becomes."""
    size_gb: Annotated[float, Field(strict=True, gt=0, le=10_000)] | None = None
    """Size of the compiled model on a disk, GB: endpoints leave room and time for it. Default: not known."""
    smoke_test: SmokeTest | None = None
    """Sent to every new version; an answer that is wrong or late takes the version back."""


class Efa(Part):
    """Elastic Fabric Adapter: the network between training instances."""

    layout: EfaLayout
    """efa: every interface carries IP too. efa-only: one interface for IP, the others for EFA alone."""


class OnDemand(Part):
    """Instances by the hour."""

    kind: Literal["on-demand"]
    base: Count | None = None
    """The first so many instances of the fleet always come from here, whatever is preferred. Default: 0."""


class Spot(Part):
    """Spare instances, cheaper, taken back with two minutes' notice."""

    kind: Literal["spot"]


class ReservedCapacity(Part):
    """An on-demand capacity reservation."""

    kind: Literal["reservation"]
    reservation: Reservation
    """cr-…"""


class CapacityBlock(Part):
    """A capacity block for ML: instances bought ahead for a number of days."""

    kind: Literal["capacity-block"]
    reservation: Reservation
    """cr-…"""


Capacity = Annotated[OnDemand | Spot | ReservedCapacity | CapacityBlock, Field(discriminator="kind")]


class FleetScaling(Part):
    """Target tracking for a fleet."""

    metric: Literal["neuroncore-utilization", "requests-per-target", "queue-depth"]
    """What is held at the target."""
    target: Number
    """Percent for neuroncore-utilization; requests a minute, or waiting messages, an instance for the others."""
    queue: Queue | None = None
    """ARN of the SQS queue whose visible messages are counted; with queue-depth, and only there."""
    scale_in_cooldown_s: Count = 300
    """Seconds to wait after shrinking."""
    scale_out_cooldown_s: Count = 60
    """Seconds to wait after growing."""


class Serving(Part):
    """How a fleet's model is reached: an internal load balancer in front of its instances."""

    load_balancer: Literal["application", "network"] = "application"
    """application: HTTP, and requests are counted. network: TCP connections, passed on as they come."""
    certificate: Certificate | None = None
    """ARN of an ACM certificate of the same account and region. Default: no TLS inside the network."""


class WarmPool(Part):
    """Instances that have started once, hold the model on their disks, and wait stopped."""

    size: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    """How many wait, beyond those in service."""


class Refresh(Part):
    """How a fleet's instances are replaced when what they are made of changes: model, image, start-up."""

    min_healthy_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = 90
    """So many percent of the fleet stay in service meanwhile."""
    checkpoints: Annotated[tuple[Annotated[int, Field(strict=True, ge=1, le=100)], ...], Field(min_length=1)] = (
        25,
        100,
    )
    """Percent replaced at which it stops and watches the alarms; ascending, the last 100."""
    bake_minutes: Annotated[int, Field(strict=True, ge=0, le=2880)] = 10
    """How long it watches at each checkpoint."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if list(self.checkpoints) != sorted(set(self.checkpoints)) or self.checkpoints[-1] != 100:
            raise refusal(
                "NCDK-REFRESH-002",
                "checkpoints are not ascending, or do not end at 100",
                allowed="1 to 100, each above the one before, the last 100",
                fix="write them like [25, 100]; a refresh that ends before 100 leaves old instances in service",
            )
        return self


class Fleet(Part):
    """EC2 instances of one kind."""

    purpose: Literal["training", "inference"]
    """Training fleets move as one; inference fleets scale by instance."""
    instance_types: Annotated[tuple[Word, ...], Field(min_length=1, max_length=20)]
    """EC2 names in order of preference, all with the same accelerator."""
    size: Size
    """How many instances."""
    model: Name | None = None
    """What the instances serve; inference only."""
    managed_by: Literal["cloudformation", "pipeline"] = "cloudformation"
    """Who brings a new artifact to the instances: deploys alone, or the release pipeline."""
    release: Release | None = None
    """With managed_by: pipeline. Default: release: {approval: false}."""
    efa: Efa | None = None
    """Default: what the catalogue says for the instance type."""
    ami: Ami | None = None
    """Default: the Neuron image that fits the chip, the newest at deploy."""
    zone: Word | None = None
    """The one zone id of an EFA fleet. Default: the first that offers the instance type."""
    capacity: Annotated[tuple[Capacity, ...], Field(min_length=1, max_length=8)] = (OnDemand(kind="on-demand"),)
    """The first is preferred, the rest are fallbacks in order."""
    scaling: FleetScaling | None = None
    """Default: none."""
    schedule: Annotated[tuple[ScheduledSize, ...], Field(max_length=24)] = ()
    """Default: none."""
    serving: Serving | None = None
    """How the model is reached. Default: through an application load balancer without TLS, if there is a model."""
    warm_pool: WarmPool | None = None
    """Default: none."""
    refresh: Refresh | None = None
    """Default: fleets that serve a model are replaced as refresh: {} says; others keep the instances they have."""
    max_lifetime_days: Annotated[int, Field(strict=True, ge=1, le=365)] | None = None
    """Instances older than this are replaced. Default: they live as long as they are needed."""
    return_after_minutes: Annotated[int, Field(strict=True, ge=1, le=1440)] = 15
    """How long capacity that was short is left alone, and how long nothing moves back after a move."""
    drain_minutes: Annotated[int, Field(strict=True, ge=1, le=120)] = 5
    """How long an instance that is to go may finish what it does; spot gives it two minutes whatever this says."""


class Storage(Part):
    """Storage that the nodes of a cluster share."""

    fsx_lustre_gib: Positive | None = None
    """FSx for Lustre, GiB: 1200, or a multiple of 2400."""


class TrainingCluster(Part):
    """A cluster that launches its own instances for training jobs."""

    engine: Literal["batch", "hyperpod"]
    """AWS Batch multi-node parallel jobs, or SageMaker HyperPod."""
    instance_type: Word
    """EC2 name."""
    size: Size
    """How many instances."""
    zone: Word | None = None
    """The one zone id of the cluster. Default: the first that offers the instance type."""
    storage: Storage | None = None
    """Default: none."""


class Budget(Part):
    """A monthly limit with notices."""

    monthly_usd: Number
    """US dollars."""
    notify: Annotated[tuple[Email, ...], Field(min_length=1, max_length=10)]
    """Who hears of it."""


class GitHub(Part):
    """A branch of a repository."""

    repository: GitHubRepository
    """organisation/repository"""
    branch: Branch
    """The branch that is deployed."""


class Delivery(Part):
    """Deploys without a person."""

    github: GitHub
    """The repository whose merges deploy this file."""


class Deployment(Part):
    """Everything that should exist in one account and region."""

    name: DeploymentName
    """Prefixes the names of the stacks."""
    environment: Environment
    """Account and region."""
    network: Network
    """The network everything stands in."""
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=40)] = {}
    """On every resource."""
    models: Annotated[dict[Name, Model], Field(max_length=500)] = {}
    """Models to compile, by name."""
    fleets: Annotated[dict[Name, Fleet], Field(max_length=500)] = {}
    """EC2 fleets, by name."""
    endpoints: Annotated[dict[Name, Endpoint], Field(max_length=500)] = {}
    """SageMaker endpoints, by name."""
    training_clusters: Annotated[dict[Name, TrainingCluster], Field(max_length=500)] = {}
    """Training clusters, by name."""
    budget: Budget | None = None
    """Default: none."""
    delivery: Delivery | None = None
    """Default: none."""

    _source: Source | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source | None:
        """The file that says all this, to point at lines of it; None for a deployment made in code."""
        return self._source
