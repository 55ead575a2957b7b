"""A model, compiled: the artifact that a stack depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aws_cdk import CustomResource, Duration, Stack, Token
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from .. import spec
from ..catalog import prices, regions, software
from .compile_image import compile_image
from .pipeline import CompilePipeline

# A compile's scratch space: the source, the compiler's intermediate files, the artifact.
_VOLUME_GIB = 100
_MIRROR_MINUTES = 120


class CompiledModel(Construct):
    """Has a model compiled, or finds that it has been, before anything that depends on it is created.

    CloudFormation asks the pipeline; a hit answers in seconds. A compile that outlasts CloudFormation's hour fails this
    stack and goes on: deploying again joins it. Nothing is deleted with the resource: artifacts are shared.

    :param name: what the model is called in the registry, tags and metrics.
    :param model: source, engine, target and shapes, as in a deployment file.
    """

    artifact_key: str
    """The sha256 over everything that decides what the compiler makes (64 hexadecimal digits, known at deploy)."""
    artifact_uri: str
    """``s3://bucket/artifacts/<key>/<attempt>/``: uncompressed, as SageMaker's ModelDataSource takes it."""

    def __init__(
        self, scope: Construct, construct_id: str, *, pipeline: CompilePipeline, name: str, model: spec.Model
    ) -> None:
        super().__init__(scope, construct_id)
        self.pipeline = pipeline
        self.name = name
        self.target = model.compile.target
        self.engine = model.compile.engine
        self.compile = model.compile
        self.size_gb = model.size_gb
        self.smoke_test = model.smoke_test
        wanted = model.compile
        region = Stack.of(self).region
        if Token.is_unresolved(region):
            raise ValueError(
                f"model {name!r}: give the stack a region; images and capacity differ from one to the next"
            )
        sdk = spec.sdk(wanted)
        image = software.resolve(
            target=wanted.target, engine=wanted.engine, service="processing", region=region, sdk=sdk
        )
        self.sdk = image.sdk
        # In the pipeline's stack, which lets its jobs pull it, and where other stacks' models find it.
        uri, digest = compile_image(Stack.of(pipeline), pipeline.store, image)
        pipeline.allow_image(uri)
        resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::NeuronCompiledModel",
            service_token=pipeline.service_token,
            service_timeout=Duration.seconds(3600),
            properties={
                "Model": {
                    "Name": name,
                    "Source": self._source(model),
                    "Task": model.task,
                    "Engine": wanted.engine,
                    "Target": wanted.target,
                    "Sdk": image.sdk,
                    "Image": uri,
                    "ImageDigest": digest,
                    "Dtype": wanted.dtype,
                    "BatchSizes": list(wanted.batch_sizes),
                    "SequenceLengths": list(wanted.sequence_lengths),
                    "TensorParallel": wanted.tensor_parallel,
                    "CompilerArgs": list(wanted.compiler_args),
                    "TimeoutMinutes": wanted.timeout_minutes,
                    "Hosts": _hosts(region, software.compile_hosts(wanted.target, wanted.engine)),
                    # Source, work and artifact, for a model whose size is known.
                    "VolumeSizeGb": max(_VOLUME_GIB, math.ceil(3 * (model.size_gb or 0))),
                    "Splits": wanted.engine in software.ONE_PROGRAM_A_SHAPE,
                    **self._mirror(model, image.sdk, (uri, digest), region),
                }
            },
        )
        self.artifact_key = resource.get_att_string("ArtifactKey")
        self.artifact_uri = resource.get_att_string("ArtifactUri")

    def _source(self, model: spec.Model) -> dict[str, Any]:
        source = model.source
        include = list(source.include)
        if isinstance(source, spec.S3Source):
            bucket, _, prefix = source.s3.removeprefix("s3://").partition("/")
            self.pipeline.allow_source(bucket, prefix)
            if source.watch:
                self.pipeline.watch_source(self.name, bucket, prefix)
            return {"Kind": "s3", "Bucket": bucket, "Prefix": prefix, "Include": include}
        if isinstance(source, spec.PathSource):
            asset = s3_assets.Asset(self, "Source", path=str(Path(source.path).resolve()))
            self.pipeline.allow_source(asset.s3_bucket_name, asset.s3_object_key)
            return {"Kind": "asset", "Bucket": asset.s3_bucket_name, "Key": asset.s3_object_key, "Include": include}
        if source.mirror:
            self.pipeline.allow_source(*source.mirror.removeprefix("s3://").split("/", 1))
        return {
            "Kind": "huggingface",
            "Repository": source.huggingface,
            "Revision": source.revision,
            "Include": include,
            "TokenSecretArn": source.token or "",
            "MirrorPrefix": source.mirror or "",
        }

    def _mirror(self, model: spec.Model, sdk: str, image: tuple[str, str], region: str) -> dict[str, Any]:
        """How a Hugging Face source is fetched: with the Python of the image that compiles it, on a small host."""
        source = model.source
        if not isinstance(source, spec.HuggingFaceSource) or source.mirror:
            return {}
        role = self.pipeline.allow_mirror(image[0], source.token)
        return {
            "Mirror": {
                "Image": image[0],
                "ImageDigest": image[1],
                "Sdk": sdk,
                "Hosts": _hosts(region, software.compile_hosts("cpu", "onnxruntime")),
                "TimeoutMinutes": _MIRROR_MINUTES,
                "VolumeSizeGb": max(_VOLUME_GIB, math.ceil(2 * (model.size_gb or 0))),
                "RoleArn": role.role_arn,
            }
        }


def _hosts(region: str, hosts: Sequence[str]) -> list[dict[str, str]]:
    """Those that SageMaker has in the region, each with its list price for an hour (``UsdPerHour``, "" where the
    catalogue has none), by which the cost of a compile is reckoned.
    """
    priced = ((host, prices.processing_hourly(region, host)) for host in hosts)
    return [
        {"Type": host, "UsdPerHour": f"{price.usd:g}" if price else ""}
        for host, price in priced
        if regions.sagemaker_offers(region, host, "processing")
    ]
