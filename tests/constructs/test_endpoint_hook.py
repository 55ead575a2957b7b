"""What stands before and behind an endpoint: order, what is declared to be in service, how its size moves, rights."""

from __future__ import annotations

import json

import pytest

from neuron_cdk.endpoint.names import component_name

CHANGE, IN_SERVICE = "Custom::NeuronEndpointChange", "Custom::NeuronEndpointInService"


@pytest.fixture(scope="session")
def declared(only):
    """The declaration of an endpoint; references as ``<logical id>``."""

    def find(name):
        told = only(name, IN_SERVICE)["Declaration"]["Fn::Join"][1]
        return json.loads(
            "".join(
                part if isinstance(part, str) else f"<{part['Ref'] if 'Ref' in part else '.'.join(part['Fn::GetAtt'])}>"
                for part in told
            )
        )

    return find


@pytest.fixture(scope="session")
def target(declared):
    def find(name):
        (one,) = declared(name)["scaling"]["targets"]
        return one

    return find


@pytest.fixture(scope="session")
def policies(target):
    return lambda name: {policy["name"]: policy for policy in target(name)["policies"]}


@pytest.fixture(scope="session")
def name_of(only):
    return lambda stack: only(stack, "AWS::SageMaker::Endpoint")["EndpointName"]


# -- order ---------------------------------------------------------------------------------------------------------


def test_one_resource_comes_before_the_endpoint_and_one_behind(template):
    served = template("components-endpoint")
    ((change, _),) = served.find_resources(CHANGE).items()
    ((endpoint, resource),) = served.find_resources("AWS::SageMaker::Endpoint").items()
    ((_, behind),) = served.find_resources(IN_SERVICE).items()
    assert change in resource["DependsOn"]
    components = served.find_resources("AWS::SageMaker::InferenceComponent")
    assert set(behind["DependsOn"]) == {endpoint, *components}


def test_both_are_told_the_configuration_and_change_with_it(template):
    served = template("inf2-endpoint")
    (configuration,) = served.find_resources("AWS::SageMaker::EndpointConfig")
    for kind in (CHANGE, IN_SERVICE):
        (resource,) = served.find_resources(kind).values()
        assert resource["Properties"]["Configuration"] == {"Fn::GetAtt": [configuration, "EndpointConfigName"]}


def test_a_new_artifact_is_a_new_release(template):
    served = template("pools-endpoint")
    models = served.find_resources("Custom::NeuronCompiledModel")
    (resource,) = served.find_resources(IN_SERVICE).values()
    released = {key["Fn::GetAtt"][0] for key in resource["Properties"]["Release"]}
    assert released == set(models)


def test_the_endpoint_coming_into_service_wakes_the_function(only, name_of):
    pattern = only("inf2-endpoint", "AWS::Events::Rule")["EventPattern"]
    assert pattern["detail-type"] == ["SageMaker Endpoint State Change"]
    assert pattern["detail"]["EndpointName"] == [name_of("inf2-endpoint")]


# -- what is declared ----------------------------------------------------------------------------------------------


def test_every_pool_is_declared_with_model_artifact_and_image(declared):
    (variant,) = declared("pools-endpoint")["variants"]
    assert [pool["instance_type"] for pool in variant["pools"]] == [
        "ml.inf2.xlarge",
        "ml.inf2.8xlarge",
        "ml.trn1.2xlarge",
    ]
    inf2, same, trn1 = variant["pools"]
    assert inf2["artifact"] == same["artifact"] != trn1["artifact"]
    assert inf2["model"] != trn1["model"]
    assert all("pytorch-inference-neuronx" in pool["image"] for pool in variant["pools"])


def test_a_shadow_is_declared_as_one(declared):
    shape = declared("shadow-endpoint")
    assert [(each["name"], each["shadow"]) for each in shape["variants"]] == [("Main", False), ("Shadow", True)]


def test_components_are_declared_by_name(declared, name_of):
    shape = declared("components-endpoint")
    endpoint = name_of("components-endpoint")
    names = [component_name(endpoint, model) for model in ("minilm", "large")]
    assert [each["name"] for each in shape["components"]] == names
    assert {each["variant"] for each in shape["components"]} == {"Main"}


@pytest.mark.parametrize(
    ("name", "mode", "asked"),
    [
        ("inf2-endpoint", "realtime", "Main"),
        ("variants-endpoint", "realtime", "Main"),
        ("async-endpoint", "async", None),
    ],
)
def test_what_can_be_asked_is_asked(declared, name, mode, asked):
    (test,) = declared(name)["smoke_tests"]  # the candidate's model has none
    assert test == {
        "variant": asked,
        "component": None,
        "mode": mode,
        "request": {"inputs": "hello"},
        "max_latency_ms": 2000,
    }


def test_a_component_is_asked_by_name(declared):
    shape = declared("components-endpoint")
    (test,) = shape["smoke_tests"]
    assert (test["variant"], test["component"]) == (None, shape["components"][0]["name"])


def test_a_queues_smoke_tests_have_a_place(declared):
    assert declared("inf2-endpoint")["async"] is None
    assert declared("async-endpoint")["async"]["input_prefix"].endswith("/smoke/")


# -- how its size moves --------------------------------------------------------------------------------------------


def test_a_fixed_size_is_no_target(declared):
    assert declared("inf2-endpoint")["scaling"] == {"targets": []}


def test_requests_at_once_are_followed_closely(target):
    found = target("pools-endpoint")
    assert (found["resource"], found["name"], found["min"], found["max"]) == ("variant", "Main", 1, 4)
    assert found["policies"] == [
        {
            "kind": "target",
            "name": "concurrent-requests",
            "metric": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
            "value": 4,
            "scale_in_cooldown_s": 300,
            "scale_out_cooldown_s": 60,
        }
    ]


def test_a_queue_is_followed_by_its_backlog_which_knows_no_variant(policies, name_of):
    assert policies("async-endpoint")["backlog"]["metric"] == {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": name_of("async-endpoint")}],
        "Statistic": "Average",
    }
    assert "wake" not in policies("async-endpoint")


def test_an_empty_queue_is_woken_by_the_first_request(policies, target, name_of):
    assert target("sleeping-queue")["min"] == 0
    wake = policies("sleeping-queue")["wake"]
    assert wake["steps"] == [{"lower": 0, "upper": None, "by": 1}]
    assert wake["alarm"]["metric"] == "HasBacklogWithoutCapacity"
    assert wake["alarm"]["dimensions"] == {"EndpointName": name_of("sleeping-queue")}
    assert (wake["alarm"]["threshold"], wake["alarm"]["comparison"]) == (1, "GreaterThanOrEqualToThreshold")


def test_a_sleeping_component_is_woken_by_the_first_request(policies, target):
    found, named = target("sleeping-components"), policies("sleeping-components")
    assert (found["resource"], found["min"], found["max"]) == ("component", 0, 2)
    assert named["wake"]["alarm"]["metric"] == "NoCapacityInvocationFailures"
    assert named["wake"]["alarm"]["dimensions"] == {"InferenceComponentName": found["name"]}
    assert named["concurrent-requests"]["metric"].startswith("SageMakerInferenceComponentConcurrentRequestsPerCopy")


def test_copies_that_cannot_scale_are_no_target(declared):
    assert [each["max"] for each in declared("components-endpoint")["scaling"]["targets"]] == [4]


def test_steps_grow_beyond_the_target_and_shrink_below_half_of_it(policies):
    named = policies("steps-endpoint")
    assert set(named) == {"grow", "shrink"}
    assert named["grow"]["steps"] == [
        {"lower": 0, "upper": 300, "by": 1},
        {"lower": 300, "upper": None, "by": 3},
    ]
    assert named["grow"]["alarm"]["threshold"] == 600
    assert named["shrink"]["steps"] == [{"lower": None, "upper": 0, "by": -1}]
    assert named["shrink"]["alarm"]["threshold"] == 300
    assert named["shrink"]["alarm"]["comparison"] == "LessThanThreshold"


def test_limits_change_on_schedule(target):
    assert target("steps-endpoint")["schedules"] == [
        {"name": "schedule-0", "cron": "cron(0 8 ? * MON-FRI *)", "min": 4, "max": 8}
    ]


def test_where_one_variant_scales_all_are_targets_so_that_no_declared_count_is_lost(declared):
    found = {each["name"]: each for each in declared("variants-endpoint")["scaling"]["targets"]}
    assert (found["candidate"]["min"], found["candidate"]["max"], found["candidate"]["policies"]) == (1, 1, [])
    assert len(found["Main"]["policies"]) == 1


# -- rights --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def allowed(resources, statements):
    """What the hook may do: the statement of each action."""

    def find(name):
        return {
            action: statement
            for role in resources(name, "AWS::IAM::Role").values()
            if "lambda.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
            for statement in statements(role)
            for action in statement["Action"]
        }

    return find


def test_the_hook_asks_this_endpoint_and_no_other(allowed, name_of):
    (resource,) = allowed("inf2-endpoint")["sagemaker:InvokeEndpoint"]["Resource"]
    assert json.dumps(resource).endswith(f':endpoint/{name_of("inf2-endpoint")}"]]}}')


def test_the_hook_keeps_one_record(allowed, name_of):
    rights = allowed("inf2-endpoint")
    assert "dynamodb:PutItem" not in rights, "a record is updated"
    assert rights["dynamodb:UpdateItem"]["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [f"endpoint#{name_of('inf2-endpoint')}"]}
    }


def test_the_hook_reads_the_golden_examples_of_what_is_served_and_no_other_artifact(allowed, template):
    models = template("pools-endpoint").find_resources("Custom::NeuronCompiledModel")
    files = [resource["Fn::Join"][1] for resource in allowed("pools-endpoint")["s3:GetObject"]["Resource"]]
    read = {(key["Fn::GetAtt"][0], name) for _, prefix, key, name in files if prefix.endswith("artifacts/")}
    assert read == {(model, f"/*/{name}") for model in models for name in ("golden.json", "manifest.json")}
    assert len(files) == len(read)


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        ("inf2-endpoint", "sagemaker:variant:DesiredInstanceCount"),
        ("components-endpoint", "sagemaker:inference-component:DesiredCopyCount"),
    ],
)
def test_the_hook_registers_what_sagemaker_scales_and_nothing_else(allowed, name, dimension):
    assert allowed(name)["application-autoscaling:RegisterScalableTarget"]["Condition"]["StringEquals"] == {
        "application-autoscaling:service-namespace": "sagemaker",
        "application-autoscaling:scalable-dimension": [dimension],
    }


def test_the_hook_touches_alarms_of_this_endpoint(allowed, name_of):
    for resource in allowed("inf2-endpoint")["cloudwatch:DeleteAlarms"]["Resource"]:
        assert name_of("inf2-endpoint") in json.dumps(resource)


def test_the_hook_makes_the_one_service_linked_role_that_scaling_needs(allowed):
    statement = allowed("inf2-endpoint")["iam:CreateServiceLinkedRole"]
    assert "*" not in json.dumps(statement["Resource"])
    assert statement["Condition"] == {
        "StringEquals": {"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}
    }


def test_the_hook_of_a_queue_puts_smoke_tests_and_reads_answers(allowed):
    assert "/smoke/*" in json.dumps(allowed("async-endpoint")["s3:PutObject"]["Resource"])
    assert "/output/*" in json.dumps(allowed("async-endpoint")["s3:GetObject"]["Resource"])
    assert "s3:PutObject" not in allowed("inf2-endpoint")
