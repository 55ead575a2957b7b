"""Inference components in the embedded AWS: copies where they fit, scale to zero, updates in batches, by stack."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from neuron_cdk.local import EmbeddedAws
from tests.local.account import IMAGE, ROLE

Clients = Callable[[str], Any]

_TYPE = "ml.m5.large"  # 2 vCPU, 8 GiB
_HALF = {"MinMemoryRequiredInMb": 4096, "NumberOfCpuCoresRequired": 1}


@pytest.fixture
def hosting(client: Clients, endpoint_of: Any) -> Callable[..., str]:
    """An endpoint for components that has one to ``most`` instances, or from ``least``; its name."""

    def make(*, least: int = 1, most: int = 2, **variant: Any) -> str:
        name = f"config-{uuid.uuid4().hex[:8]}"
        main = {
            "VariantName": "Main",
            "InstanceType": _TYPE,
            "InitialInstanceCount": 1,
            "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": least, "MaxInstanceCount": most},
        }
        client("sagemaker").create_endpoint_config(
            EndpointConfigName=name, ExecutionRoleArn=ROLE, ProductionVariants=[main | variant]
        )
        made: str = endpoint_of(name)
        return made

    return make


@pytest.fixture
def component_settled(client: Clients, eventually: Any) -> Callable[[str], dict[str, Any]]:
    """Wait until nothing is under way at a component; its description."""

    def wait(name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            described: dict[str, Any] = client("sagemaker").describe_inference_component(InferenceComponentName=name)
            return described if described["InferenceComponentStatus"] in ("InService", "Failed") else None

        found: dict[str, Any] = eventually(look)
        return found

    return wait


@pytest.fixture
def component(client: Clients, model_of: Any, component_settled: Any, eventually: Any) -> Iterator[Callable[..., str]]:
    """A component on an endpoint, gone after the test; its name."""
    made: list[str] = []

    def make(endpoint: str, *, copies: int = 1, needs: dict[str, Any] = _HALF, status: str = "InService") -> str:
        name = f"component-{uuid.uuid4().hex[:8]}"
        client("sagemaker").create_inference_component(
            InferenceComponentName=name,
            EndpointName=endpoint,
            VariantName="Main",
            Specification={"ModelName": model_of(), "ComputeResourceRequirements": needs},
            RuntimeConfig={"CopyCount": copies},
        )
        made.append(name)
        described = component_settled(name)
        assert described["InferenceComponentStatus"] == status, described
        return name

    yield make
    sagemaker = client("sagemaker")
    for name in made:
        if sagemaker.list_inference_components(NameContains=name)["InferenceComponents"]:
            component_settled(name)
            sagemaker.delete_inference_component(InferenceComponentName=name)
    for name in made:
        eventually(lambda name=name: not sagemaker.list_inference_components(NameContains=name)["InferenceComponents"])


@pytest.fixture
def copies(client: Clients, component_settled: Any) -> Callable[[str, int], dict[str, Any]]:
    """Have so many copies of a component; it then."""

    def scale(name: str, count: int) -> dict[str, Any]:
        client("sagemaker").update_inference_component_runtime_config(
            InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": count}
        )
        described: dict[str, Any] = component_settled(name)
        return described

    return scale


@pytest.fixture
def instances(client: Clients) -> Callable[[str], int]:
    """How many instances an endpoint has."""

    def count(name: str) -> int:
        (variant,) = client("sagemaker").describe_endpoint(EndpointName=name)["ProductionVariants"]
        return int(variant["CurrentInstanceCount"])

    return count


def test_copies_share_an_instance_until_another_is_needed(
    hosting: Any, component: Any, copies: Any, instances: Any, ask: Any, under_load: Any
) -> None:
    name = hosting()
    first = component(name)
    second = component(name)
    assert instances(name) == 1
    assert ask(name, InferenceComponentName=first)["InvokedProductionVariant"] == "Main"

    with under_load(name, InferenceComponentName=first) as load:
        grown = copies(first, 2)
        there = instances(name)
        shrunk = copies(first, 1)

    assert there == 2
    assert grown["RuntimeConfig"] == {
        "DesiredCopyCount": 2,
        "CurrentCopyCount": 2,
        "PlacementStatus": [{"InstanceType": _TYPE, "CurrentCopyCount": 2}],
    }
    assert shrunk["RuntimeConfig"]["CurrentCopyCount"] == 1
    assert load.done > 0
    assert load.lost == []
    assert ask(name, InferenceComponentName=second)


def test_a_component_at_zero_says_so_and_its_instances_go_and_it_wakes(
    client: Clients,
    embedded_aws: EmbeddedAws,
    hosting: Any,
    component: Any,
    copies: Any,
    instances: Any,
    ask: Any,
    code_of: Any,
    later: Any,
) -> None:
    name = hosting(least=0)
    one = component(name)

    copies(one, 0)

    asleep = code_of(ask, name=name, InferenceComponentName=one)
    assert asleep.code == "ValidationError"
    assert asleep.message.startswith("Inference Component has no capacity to process this request.")
    assert instances(name) == 1
    later(700)
    assert instances(name) == 0
    now = embedded_aws.set_clock()  # the tests before this one have let days pass
    noticed = client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="NoCapacityInvocationFailures",
        Dimensions=[{"Name": "InferenceComponentName", "Value": one}],
        StartTime=now - 3600,
        EndTime=now + 60,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert [each["Sum"] for each in noticed] == [1]

    copies(one, 1)

    assert instances(name) == 1
    assert ask(name, InferenceComponentName=one)


def test_a_copy_that_fits_nowhere_is_not_placed(hosting: Any, component: Any, copies: Any, ask: Any) -> None:
    name = hosting(most=1)
    component(name, needs={"MinMemoryRequiredInMb": 10_000}, status="Failed")
    one = component(name, needs={"MinMemoryRequiredInMb": 6000})

    described = copies(one, 2)

    assert described["FailureReason"].startswith("There is not enough hardware resources on the instances")
    assert described["RuntimeConfig"]["DesiredCopyCount"] == 1
    assert ask(name, InferenceComponentName=one)


def test_an_update_of_a_component_is_taken_back_by_its_alarm(
    client: Clients,
    hosting: Any,
    component: Any,
    component_settled: Any,
    model_of: Any,
    later: Any,
    under_load: Any,
    eventually: Any,
    quiet_alarm: str,
) -> None:
    name = hosting()
    one = component(name)
    before = component_settled(one)["Specification"]["ModelName"]
    batch = {"MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1}, "WaitIntervalInSeconds": 300}
    watched = {"RollingUpdatePolicy": batch, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": quiet_alarm}]}}

    def update() -> str:
        model: str = model_of()
        client("sagemaker").update_inference_component(
            InferenceComponentName=one,
            Specification={"ModelName": model, "ComputeResourceRequirements": _HALF},
            DeploymentConfig=watched,
        )
        described = client("sagemaker").describe_inference_component
        eventually(lambda: described(InferenceComponentName=one)["RuntimeConfig"]["CurrentCopyCount"] == 2)
        return model

    with under_load(name, InferenceComponentName=one) as load:
        coming = update()
        later(310)
        ended = component_settled(one)
        update()
        client("cloudwatch").set_alarm_state(AlarmName=quiet_alarm, StateValue="ALARM", StateReason="errors")
        later(20)
        taken_back = component_settled(one)

    assert (ended["Specification"]["ModelName"], "FailureReason" in ended) == (coming, False)
    assert coming != before
    assert taken_back["Specification"]["ModelName"] == coming
    assert quiet_alarm in taken_back["FailureReason"]
    assert taken_back["RuntimeConfig"]["CurrentCopyCount"] == 1
    assert load.lost == []


def test_components_follow_to_the_instances_of_a_new_configuration(
    client: Clients, hosting: Any, component: Any, settled: Any, under_load: Any
) -> None:
    name = hosting()
    one = component(name)
    coming = f"config-{uuid.uuid4().hex[:8]}"
    main = {"VariantName": "Main", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    client("sagemaker").create_endpoint_config(
        EndpointConfigName=coming, ExecutionRoleArn=ROLE, ProductionVariants=[main]
    )

    with under_load(name, InferenceComponentName=one) as load:
        client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=coming)
        ended = settled(name)

    assert (ended["EndpointConfigName"], "FailureReason" in ended) == (coming, False)
    placed = client("sagemaker").describe_inference_component(InferenceComponentName=one)["RuntimeConfig"]
    assert placed["PlacementStatus"] == [{"InstanceType": "ml.m5.xlarge", "CurrentCopyCount": 1}]
    assert load.done > 0
    assert load.lost == []


def test_what_an_endpoint_of_components_does_not_take(
    client: Clients, hosting: Any, component: Any, model_of: Any, ask: Any, code_of: Any
) -> None:
    sagemaker = client("sagemaker")
    name = hosting()
    one = component(name)
    variants = sagemaker.describe_endpoint(EndpointName=name)
    config = variants["EndpointConfigName"]
    cold = {
        "InferenceComponentName": "cold",
        "EndpointName": name,
        "VariantName": "Main",
        "Specification": {"ModelName": model_of(), "ComputeResourceRequirements": _HALF},
        "RuntimeConfig": {"CopyCount": 0},
    }
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    blue_green = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    update = {"EndpointName": name, "EndpointConfigName": config, "DeploymentConfig": blue_green}
    bare = {"EndpointConfigName": "bare", "ProductionVariants": [{"VariantName": "Main", "InstanceType": _TYPE}]}

    assert "header is required" in code_of(ask, name=name).message
    assert "not found" in code_of(ask, name=name, InferenceComponentName="nobody").message
    assert "larger than 0" in code_of(sagemaker.create_inference_component, **cold).message
    assert "BlueGreenUpdatePolicy is not supported" in code_of(sagemaker.update_endpoint, **update).message
    assert "while it has inference components" in code_of(sagemaker.delete_endpoint, EndpointName=name).message
    assert "ExecutionRoleArn is required" in code_of(sagemaker.create_endpoint_config, **bare).message
    assert one in [
        each["InferenceComponentName"]
        for each in sagemaker.list_inference_components(EndpointNameEquals=name)["InferenceComponents"]
    ]


def test_a_stack_makes_changes_and_removes_a_component(
    embedded_aws: EmbeddedAws, client: Clients, operate: Any, endpoint_resources: Any, artifact: str, ask: Any
) -> None:
    resources = endpoint_resources(artifact)
    variant = resources["Config"]["Properties"]["ProductionVariants"][0]
    del variant["ModelName"]
    resources["Config"]["Properties"]["ExecutionRoleArn"] = ROLE
    model = {"Fn::GetAtt": ["Model", "ModelName"]}
    resources["Component"] = {
        "Type": "AWS::SageMaker::InferenceComponent",
        "Properties": {
            "EndpointName": {"Fn::GetAtt": ["Endpoint", "EndpointName"]},
            "VariantName": "Main",
            "Specification": {"ModelName": model, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024}},
            "RuntimeConfig": {"CopyCount": 1},
        },
    }
    assert operate("create", "hosting", resources) == "CREATE_COMPLETE"
    (made,) = client("sagemaker").list_inference_components(NameContains="hosting")["InferenceComponents"]
    name, endpoint = made["InferenceComponentName"], made["EndpointName"]
    assert ask(endpoint, InferenceComponentName=name)
    before = set(embedded_aws.status().endpoints[endpoint]["pids"])

    resources["Component"]["Properties"]["RuntimeConfig"]["CopyCount"] = 2
    assert operate("update", "hosting", resources) == "UPDATE_COMPLETE"

    described = client("sagemaker").describe_inference_component(InferenceComponentName=name)
    assert described["RuntimeConfig"]["CurrentCopyCount"] == 2
    shown = embedded_aws.status().endpoints[endpoint]
    assert shown["components"] == {name: {"status": "InService", "copies": 2, "desired": 2}}
    assert before < set(shown["pids"]), "the copy that was there serves on"
    assert operate("delete", "hosting") == "DELETE_COMPLETE"
    assert client("sagemaker").list_inference_components(NameContains="hosting")["InferenceComponents"] == []


def test_copies_come_back_after_a_restart(own_aws: EmbeddedAws, clients_of: Any, publish: Any, eventually: Any) -> None:
    own_aws.up()
    client = clients_of(own_aws)
    sagemaker = client("sagemaker")
    source = {"S3Uri": publish(client), "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    sagemaker.create_model(ModelName="kept", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    main = {"VariantName": "Main", "InstanceType": _TYPE, "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="kept", ExecutionRoleArn=ROLE, ProductionVariants=[main])
    sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="kept")
    eventually(lambda: sagemaker.describe_endpoint(EndpointName="kept")["EndpointStatus"] == "InService")
    sagemaker.create_inference_component(
        InferenceComponentName="kept",
        EndpointName="kept",
        Specification={"ModelName": "kept", "ComputeResourceRequirements": _HALF},
    )

    def in_service() -> bool:
        described = sagemaker.describe_inference_component(InferenceComponentName="kept")
        return bool(described["InferenceComponentStatus"] == "InService")

    eventually(in_service)
    own_aws.down()

    own_aws.up()

    client = clients_of(own_aws)
    sagemaker = client("sagemaker")
    eventually(in_service)
    answer = client("sagemaker-runtime").invoke_endpoint(
        EndpointName="kept",
        InferenceComponentName="kept",
        ContentType="application/json",
        Body='{"inputs": {"bytes": [[' + ",".join(["104"] * 2048) + "]]}}",
    )
    assert answer["Body"].read()
