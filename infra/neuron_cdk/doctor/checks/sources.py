"""The models' files in S3, as far as whoever runs the doctor may see them."""

from __future__ import annotations

from collections.abc import Iterator

from ...catalog.software import EMBEDDED_ACCOUNT
from ...local.sample import SOURCE
from ...spec import Deployment, S3Source
from ...spec.findings import Problem
from ...spec.source import Pointer
from ..aws import Aws


def can_be_read(deployment: Deployment, aws: Aws) -> Iterator[Problem]:
    for name, model in deployment.models.items():
        if not isinstance(model.source, S3Source):
            continue
        if deployment.environment.account == EMBEDDED_ACCOUNT and model.source.s3 == SOURCE:
            continue  # neuron-cdk local deploy puts it there
        at: Pointer = ("models", name, "source", "s3")
        bucket, _, prefix = model.source.s3.removeprefix("s3://").partition("/")
        match aws.holds_objects(bucket, prefix):
            case None:
                yield Problem("NCDK-DOCTOR-031", at, f"there is no bucket {bucket}", fix="create it, or mend the name")
            case False:
                yield Problem("NCDK-DOCTOR-032", at, "nothing lies there", fix="upload the model's files")
