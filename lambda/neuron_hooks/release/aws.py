"""The calls of releases, on the shared clients. Thin: what is asked and read lies beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from .. import aws

_EXISTS = ("Cannot create already existing", "already exists")
_ABSENT = "could not find"

Request = Mapping[str, Any]


def fail_task(token: str, error: str, cause: str) -> None:
    """Have a state that waits for a task token fail; one that waits no more is left alone."""
    try:
        aws.client("stepfunctions").send_task_failure(taskToken=token, error=error, cause=cause)
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken"):
            raise


# -- SageMaker: names are a release's own, so what is there already is what would be made -----------------------------


def create_model(request: Request) -> None:
    _unless(_EXISTS, lambda: aws.client("sagemaker").create_model(**request))


def create_configuration(request: Request) -> None:
    """Make an endpoint configuration, as it is written: a runtime's botocore may be older than what it holds, such as
    instance pools (``docs/adr/0004-boto3-in-lambda.md``), and would refuse it.
    """
    client = aws.client("sagemaker")
    known = {
        "EndpointConfigName": request["EndpointConfigName"],
        "ProductionVariants": [{"VariantName": each["VariantName"]} for each in request["ProductionVariants"]],
    }

    def as_it_is(params: dict[str, Any], **_: object) -> None:
        params["body"] = json.dumps(request).encode()

    event = "before-call.sagemaker.CreateEndpointConfig"
    client.meta.events.register(event, as_it_is)
    try:
        _unless(_EXISTS, lambda: client.create_endpoint_config(**known))
    finally:
        client.meta.events.unregister(event, as_it_is)


def create_endpoint(request: Request) -> None:
    _unless(_EXISTS, lambda: aws.client("sagemaker").create_endpoint(**request))


def update_endpoint(request: Request) -> None:
    aws.client("sagemaker").update_endpoint(**request)


def delete_endpoint(name: str) -> None:
    _unless((_ABSENT,), lambda: aws.client("sagemaker").delete_endpoint(EndpointName=name))


def delete_configuration(name: str) -> None:
    _unless((_ABSENT,), lambda: aws.client("sagemaker").delete_endpoint_config(EndpointConfigName=name))


def delete_model(name: str) -> None:
    _unless((_ABSENT,), lambda: aws.client("sagemaker").delete_model(ModelName=name))


def configurations(prefix: str) -> list[str]:
    """The names of all configurations that begin so."""
    return _listed("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", prefix)


def models(prefix: str) -> list[str]:
    """The names of all models that begin so."""
    return _listed("list_models", "Models", "ModelName", prefix)


def _listed(operation: str, member: str, name: str, prefix: str) -> list[str]:
    pages = aws.client("sagemaker").get_paginator(operation).paginate(NameContains=prefix)
    return sorted(one[name] for page in pages for one in page[member] if one[name].startswith(prefix))


def _unless(said: tuple[str, ...], call: Callable[[], object]) -> None:
    """Call, and pass over a refusal that says there is nothing left to do; SageMaker has no codes for those."""
    try:
        call()
    except ClientError as error:
        answer = error.response["Error"]
        expected = any(words.lower() in answer["Message"].lower() for words in said)
        if answer["Code"] != "ValidationException" or not expected:
            raise


# -- CloudWatch ------------------------------------------------------------------------------------------------------


def put_alarm(request: Request) -> None:
    aws.client("cloudwatch").put_metric_alarm(**request)
