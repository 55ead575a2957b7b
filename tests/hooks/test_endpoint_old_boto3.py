"""The hook on a boto3 that is older than instance pools: it must see the pools all the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType
from typing import Any

import pytest
from botocore.loaders import Loader

Load = Callable[[str], ModuleType]
CONFIGURATION = {
    "EndpointConfigName": "c1",
    "EndpointConfigArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/c1",
    "CreationTime": 1_800_000_000.0,
    "ProductionVariants": [
        {
            "VariantName": "Main",
            "ModelName": "m1",
            "InstancePools": [
                {"InstanceType": "ml.trn1.2xlarge", "Priority": 2, "ModelNameOverride": "m2"},
                {"InstanceType": "ml.inf2.xlarge", "Priority": 1},
            ],
        }
    ],
}


class Service(BaseHTTPRequestHandler):
    """SageMaker, for DescribeEndpointConfig of ``c1``."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked == {"EndpointConfigName": "c1"}
        wrong = {"__type": "ValidationException", "message": "Could not find endpoint configuration."}
        self.send_response(200 if known else 400)
        self.end_headers()
        self.wfile.write(json.dumps(CONFIGURATION if known else wrong).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sagemaker(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://127.0.0.1:{server.server_address[1]}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def old_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    load = Loader.load_service_model

    def without_pools(self: Loader, service: str, kind: str, *more: Any, **named: Any) -> Any:
        found = load(self, service, kind, *more, **named)
        if service != "sagemaker" or kind != "service-2":
            return found
        shapes = dict(found["shapes"])
        variant = shapes["ProductionVariant"]
        members = {name: member for name, member in variant["members"].items() if name != "InstancePools"}
        assert members != variant["members"]
        return {**found, "shapes": {**shapes, "ProductionVariant": {**variant, "members": members}}}

    monkeypatch.setattr(Loader, "load_service_model", without_pools)


def test_pools_are_seen_by_priority_though_boto3_does_not_know_them(
    load: Load, sagemaker: None, old_boto3: None
) -> None:
    configured = load("endpoint.aws").configuration("c1")
    assert configured["Main"].pools == (("ml.inf2.xlarge", "m1"), ("ml.trn1.2xlarge", "m2"))


def test_a_configuration_that_is_not_there_is_none(load: Load, sagemaker: None, old_boto3: None) -> None:
    assert load("endpoint.aws").configuration("c2") is None
