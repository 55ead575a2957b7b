"""Requests and answers kept in S3, where the file asks for it."""

from __future__ import annotations

from typing import Any

from constructs import Construct

from .. import spec
from ..model import ArtifactStore
from ..place import key_arn
from ..roles import Allow
from .bucket import EndpointBucket

_PREFIX = "capture"


class DataCapture(Construct):
    """A bucket that forgets after ``retention_days``, and a share of the requests with their answers in it."""

    def __init__(self, scope: Construct, construct_id: str, *, store: ArtifactStore, capture: spec.Capture) -> None:
        super().__init__(scope, construct_id)
        self._percent, self._key_arn = capture.percent, key_arn(store.key)
        self.bucket = EndpointBucket(self, "Bucket", store=store, retention_days=capture.retention_days)

    def configuration(self) -> dict[str, Any]:
        """The ``DataCaptureConfig`` of an endpoint configuration. Bodies that are no CSV or JSON come in base64."""
        return {
            "enableCapture": True,
            "initialSamplingPercentage": self._percent,
            "destinationS3Uri": self.bucket.uri(_PREFIX),
            "kmsKeyId": self._key_arn,
            "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
            "captureContentTypeHeader": {"csvContentTypes": ["text/csv"], "jsonContentTypes": ["application/json"]},
        }

    def rights_of_the_endpoint(self) -> list[Allow]:
        """Write what is captured."""
        return [
            Allow(
                ["s3:PutObject"],
                [self.bucket.objects(_PREFIX)],
                why="SageMaker names what it captures after endpoint, variant and time",
            )
        ]
