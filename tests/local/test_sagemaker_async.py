"""Asynchronous endpoints in the embedded AWS: S3 in, a queue, S3 out or the failure's place, and topics are told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

Clients = Callable[[str], Any]
_BODY = json.dumps({"inputs": {"bytes": [[104] * 2048]}})


@pytest.fixture(scope="module")
def topics(client: Clients) -> dict[str, Any]:
    """The topics of successes and errors, each with a queue that gets what it is told."""
    made = {}
    for kind in ("SuccessTopic", "ErrorTopic"):
        name = f"{kind}-{uuid.uuid4().hex[:8]}"
        topic = client("sns").create_topic(Name=name)["TopicArn"]
        queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        made[kind] = (topic, queue)
    return made


@pytest.fixture
def heard(client: Clients, topics: dict[str, Any], eventually: Any) -> Callable[..., dict[str, Any]]:
    """The notification about a request."""
    seen: list[dict[str, Any]] = []

    def wait(kind: str, request: str, **patience: float) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            batch = client("sqs").receive_message(QueueUrl=topics[kind][1], MaxNumberOfMessages=10)
            seen.extend(json.loads(json.loads(message["Body"])["Message"]) for message in batch.get("Messages", []))
            return next((message for message in seen if message["inferenceId"] == request), None)

        found: dict[str, Any] = eventually(look, **patience)
        return found

    return wait


@pytest.fixture(scope="module")
def endpoint(client: Clients, config_of: Any, settled: Any, topics: dict[str, Any]) -> Iterator[str]:
    client("s3").create_bucket(Bucket="asked")
    config = {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
        "OutputConfig": {
            "S3OutputPath": "s3://asked/out",
            "S3FailurePath": "s3://asked/failed",
            "NotificationConfig": {kind: topic for kind, (topic, _) in topics.items()},
        },
    }
    name: str = config_of(more={"AsyncInferenceConfig": config})
    client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert settled(name)["EndpointStatus"] == "InService"
    yield name
    settled(name)
    client("sagemaker").delete_endpoint(EndpointName=name)


@pytest.fixture
def put_in(client: Clients, endpoint: str) -> Callable[..., dict[str, Any]]:
    """Put a request into the queue; what is answered."""

    def call(body: str = _BODY, **more: Any) -> dict[str, Any]:
        key = f"in/{uuid.uuid4().hex}.json"
        client("s3").put_object(Bucket="asked", Key=key, Body=body)
        request = {"InputLocation": f"s3://asked/{key}", "ContentType": "application/json"} | more
        answer: dict[str, Any] = client("sagemaker-runtime").invoke_endpoint_async(EndpointName=endpoint, **request)
        return answer

    return call


@pytest.fixture
def fetched(client: Clients, eventually: Any) -> Callable[[str], bytes]:
    """Wait for an object; its content."""

    def wait(uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")

        def look() -> bytes | None:
            try:
                content: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            except ClientError:
                return None
            return content

        found: bytes = eventually(look)
        return found

    return wait


@pytest.fixture
def scale(client: Clients, endpoint: str, settled: Any) -> Callable[[int], None]:
    def to(count: int) -> None:
        wanted = [{"VariantName": "Main", "DesiredInstanceCount": count}]
        client("sagemaker").update_endpoint_weights_and_capacities(
            EndpointName=endpoint, DesiredWeightsAndCapacities=wanted
        )
        settled(endpoint)

    return to


@pytest.fixture
def value(client: Clients, endpoint: str) -> Callable[[str], float | None]:
    """The newest value of a metric of the endpoint."""

    def read(name: str) -> float | None:
        now = client("sagemaker").describe_endpoint(EndpointName=endpoint)["LastModifiedTime"].timestamp()
        found = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
            StartTime=datetime.fromtimestamp(now - 3600),
            EndTime=datetime.fromtimestamp(now + 36000),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return max(found, key=lambda each: each["Timestamp"])["Maximum"] if found else None

    return read


def test_an_answer_comes_to_the_place_that_was_told(put_in: Any, fetched: Any, heard: Any, endpoint: str) -> None:
    told = put_in(InferenceId="mine")

    assert told["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert told["InferenceId"] == "mine"
    assert told["OutputLocation"].startswith("s3://asked/out/")
    assert told["FailureLocation"].startswith("s3://asked/failed/")
    assert json.loads(fetched(told["OutputLocation"]))["outputs"]
    message = heard("SuccessTopic", "mine")
    assert message["invocationStatus"] == "Completed"
    assert message["requestParameters"]["endpointName"] == endpoint
    assert message["responseParameters"]["outputLocation"] == told["OutputLocation"]


def test_a_request_that_fails_is_told_of_with_the_reason(put_in: Any, fetched: Any, heard: Any) -> None:
    told = put_in("{}")

    assert fetched(told["FailureLocation"])
    message = heard("ErrorTopic", told["InferenceId"])
    assert message["invocationStatus"] == "Failed"
    assert "Received client error (4" in message["failureReason"]


def test_an_input_that_is_not_there_is_a_failure(put_in: Any, heard: Any) -> None:
    told = put_in(InputLocation="s3://asked/nothing")

    assert "the input could not be read" in heard("ErrorTopic", told["InferenceId"])["failureReason"]


@pytest.fixture
def without(client: Clients, endpoint: str) -> Iterator[Callable[[str, str], None]]:
    """Deny the role that the endpoint acts as an action on a resource until the test ends."""
    config = client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    (variant,) = client("sagemaker").describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    model = client("sagemaker").describe_model(ModelName=variant["ModelName"])
    policy = {"RoleName": model["ExecutionRoleArn"].rpartition("/")[2], "PolicyName": "Denied"}

    def deny(action: str, resource: str) -> None:
        statement = {"Effect": "Deny", "Action": action, "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        client("iam").put_role_policy(**policy, PolicyDocument=document)

    yield deny
    client("iam").delete_role_policy(**policy)


def test_an_answer_that_the_role_may_not_write_is_a_failure(put_in: Any, heard: Any, without: Any) -> None:
    without("s3:PutObject", "arn:aws:s3:::asked/out/*")

    reason = heard("ErrorTopic", put_in()["InferenceId"])["failureReason"]

    assert "the answer could not be written" in reason
    assert "s3:PutObject" in reason


def test_a_topic_that_the_role_may_not_tell_hears_nothing_and_the_answer_comes(
    put_in: Any, heard: Any, fetched: Any, without: Any, topics: dict[str, Any]
) -> None:
    without("sns:Publish", topics["SuccessTopic"][0])
    quiet = put_in(InferenceId="quiet")
    assert json.loads(fetched(quiet["OutputLocation"]))["outputs"]
    failing = put_in("{}")

    # What fails is told by another topic, later: by then the first had its turn.
    assert heard("ErrorTopic", failing["InferenceId"])
    with pytest.raises(AssertionError):
        heard("SuccessTopic", "quiet", within=1)


def test_a_queue_waits_for_instances_and_says_so(
    put_in: Any, fetched: Any, scale: Any, value: Any, later: Any, eventually: Any
) -> None:
    scale(0)
    told = [put_in() for _ in range(3)]
    later(61)
    assert (value("HasBacklogWithoutCapacity"), value("ApproximateBacklogSize")) == (1, 3)

    scale(1)

    assert all(fetched(each["OutputLocation"]) for each in told)
    later(61)
    assert value("ApproximateBacklogSizePerInstance") == 0
    assert (value("HasBacklogWithoutCapacity"), value("ApproximateBacklogSize")) == (0, 0)


def test_a_request_that_waits_too_long_expires(put_in: Any, heard: Any, scale: Any, later: Any) -> None:
    scale(0)
    told = put_in(RequestTTLSeconds=60)
    later(120)

    scale(1)

    assert "expired" in heard("ErrorTopic", told["InferenceId"])["failureReason"]


def test_an_asynchronous_endpoint_answers_no_request_at_once(endpoint: str, ask: Any, code_of: Any) -> None:
    assert "use InvokeEndpointAsync" in code_of(ask, name=endpoint).message


def test_a_backlog_wakes_an_endpoint_that_sleeps(
    client: Clients, endpoint: str, put_in: Any, fetched: Any, scale: Any, later: Any, settled: Any
) -> None:
    scale(0)
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/Main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    autoscaling = client("application-autoscaling")
    autoscaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    policy = autoscaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )["PolicyARN"]
    client("cloudwatch").put_metric_alarm(
        AlarmName=f"{endpoint}-wake",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy],
    )
    told = put_in()

    later(240)

    assert fetched(told["OutputLocation"])
    assert settled(endpoint)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    client("cloudwatch").delete_alarms(AlarmNames=[f"{endpoint}-wake"])
    autoscaling.deregister_scalable_target(**target)
