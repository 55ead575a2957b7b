"""The models' files, as far as whoever runs the doctor may see them."""

from __future__ import annotations

from collections.abc import Iterator

from ...catalog.software import EMBEDDED_ACCOUNT
from ...local.sample import SOURCE
from ...spec import Deployment, HuggingFaceSource, S3Source
from ...spec.findings import Problem
from ...spec.source import Pointer
from ..aws import Aws


def can_be_read(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        at: Pointer = ("models", name, "source")
        if isinstance(model.source, S3Source):
            if deployment.environment.account == EMBEDDED_ACCOUNT and model.source.s3 == SOURCE:
                continue  # neuron-cdk local deploy puts it there
            yield from _holds_files((*at, "s3"), model.source.s3, aws)
        if isinstance(model.source, HuggingFaceSource) and model.source.mirror:
            yield from _holds_files((*at, "mirror"), model.source.mirror, aws)


def are_told_of(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        if not isinstance(model.source, S3Source) or not model.source.watch:
            continue
        bucket = model.source.s3.removeprefix("s3://").partition("/")[0]
        if aws.sends_events(bucket) is False:  # that there is none is said already
            yield Problem(
                "NCDK-DOCTOR-036",
                ("models", name, "source", "watch"),
                f"bucket {bucket} sends EventBridge nothing: what is uploaded there is not seen",
                fix="have its owner turn Amazon EventBridge on, in the bucket's properties",
                given="true",
            )


def tokens_are_there(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        if not isinstance(model.source, HuggingFaceSource) or not model.source.token or model.source.mirror:
            continue
        readable = aws.secret_is_readable(model.source.token)
        if not readable:
            message = "there is no such secret" if readable is None else "this secret is about to be deleted"
            fix = "create it with an access token of the hub as its text, and give its ARN"
            yield Problem("NCDK-DOCTOR-037", ("models", name, "source", "token"), message, fix=fix)


def _holds_files(at: Pointer, uri: str, aws: Aws) -> Iterator[Problem]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    match aws.holds_objects(bucket, prefix):
        case None:
            yield Problem("NCDK-DOCTOR-031", at, f"there is no bucket {bucket}", fix="create it, or mend the name")
        case False:
            yield Problem("NCDK-DOCTOR-032", at, "nothing lies there", fix="upload the model's files")
