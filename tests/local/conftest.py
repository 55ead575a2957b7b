"""One embedded AWS for the tests of this folder, on a free port, gone with its folder at the end."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from neuron_cdk.local import EmbeddedAws
from tests.local.auto_scaling_groups import (  # noqa: F401
    activities,
    controlled,
    described,
    group,
    instance_of,
    launch_template,
    of_group,
)
from tests.local.capacity import bought, last_activity, reserve, shown, spot  # noqa: F401
from tests.local.endpoints import (  # noqa: F401
    ask,
    config_of,
    endpoint_of,
    endpoint_resources,
    model_of,
    settled,
    under_load,
    wrong,
)
from tests.local.functions import call, function  # noqa: F401
from tests.local.jobs import artifact, finished, job_request, publish  # noqa: F401
from tests.local.metrics import alarm, metric, quiet_alarm, state  # noqa: F401
from tests.local.roles import acting, bucket, key, model_request, role  # noqa: F401
from tests.local.scalable_targets import alarm_of, nowhere, target  # noqa: F401
from tests.local.stacks import operate, operate_on, reason  # noqa: F401

_REGION = "us-east-1"

Clients = Callable[[str], Any]


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Wait for what has no event of its own: the first true answer."""

    def wait(look: Callable[[], Any], *, within: float = 300) -> Any:
        deadline = time.monotonic() + within
        pause = 0.02
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)  # whoever is waited for needs the processor, too
        raise AssertionError(f"nothing came of it in {within:.0f} s")

    return wait


@pytest.fixture(scope="session")
def clients_of() -> Callable[[EmbeddedAws], Clients]:
    """boto3 clients that speak to one embedded AWS and to nothing else."""

    def make(aws: EmbeddedAws) -> Clients:
        session = boto3.Session("test", "test", region_name=_REGION)
        config = Config(retries={"total_max_attempts": 1}, read_timeout=90)
        made: dict[str, Any] = {}

        def client(service: str) -> Any:
            if not made:
                _make_role(session.client("iam", endpoint_url=aws.url, config=config))
            if service not in made:
                made[service] = session.client(service, endpoint_url=aws.url, config=config)
            return made[service]

        return client

    return make


def _make_role(iam: Any) -> None:
    """The role of what tests make by hand: every service that they use may take it on, and it may do everything."""
    services = [f"{name}.amazonaws.com" for name in ("lambda", "sagemaker", "states")]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="neuron", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.put_role_policy(
        RoleName="neuron", PolicyName="Everything", PolicyDocument=json.dumps({"Statement": [everything]})
    )


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    aws = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), port=0)
    aws.up()
    yield aws
    aws.down(delete_state=True)


@pytest.fixture(scope="session")
def client(embedded_aws: EmbeddedAws, clients_of: Callable[[EmbeddedAws], Clients]) -> Clients:
    return clients_of(embedded_aws)


@pytest.fixture
def own_aws(tmp_path: Path) -> Iterator[EmbeddedAws]:
    """One that a test may break; not started."""
    aws = EmbeddedAws(tmp_path / "state", port=0)
    yield aws
    aws.down(delete_state=True)


@pytest.fixture(scope="session")
def code_of() -> Callable[..., Any]:
    """The error a call ends with: ``code`` and ``message``, and the whole ``response``."""

    def fail(operation: Callable[..., Any], **arguments: Any) -> SimpleNamespace:
        with pytest.raises(ClientError) as caught:
            operation(**arguments)
        error = caught.value.response["Error"]
        return SimpleNamespace(code=error["Code"], message=error["Message"], response=caught.value.response)

    return fail


@pytest.fixture(scope="session")
def later(embedded_aws: EmbeddedAws) -> Callable[[float], float]:
    """Let so many seconds pass at once; the time then."""

    def pass_by(seconds: float) -> float:
        return embedded_aws.set_clock(advance_s=seconds)

    return pass_by


@pytest.fixture
def told(client: Clients) -> Iterator[Callable[[dict[str, Any]], Callable[[], list[dict[str, Any]]]]]:
    """What EventBridge delivers from now on of the events that match a pattern; each call gives the new ones."""
    made: list[str] = []

    def listen(pattern: dict[str, Any]) -> Callable[[], list[dict[str, Any]]]:
        name = f"told-{uuid.uuid4().hex[:8]}"
        queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
        arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        client("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
        client("events").put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        made.append(name)

        def received() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while True:
                batch = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
                for message in batch:
                    found.append(json.loads(message["Body"]))
                    client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                if not batch:
                    return found

        return received

    yield listen
    for name in made:
        client("events").remove_targets(Rule=name, Ids=["queue"])
        client("events").delete_rule(Name=name)
