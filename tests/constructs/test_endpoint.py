"""A SageMaker endpoint: host image, isolation, artifact, role, what is refused."""

from __future__ import annotations

import json
import re

import boto3
import pytest
from aws_cdk import Stack
from aws_cdk.assertions import Match, Template

from neuron_cdk import CompiledModel, NeuronEndpoint, spec

ENDPOINTS = ["inf2-endpoint", "trn1-endpoint", "cpu-endpoint"]


@pytest.fixture(params=ENDPOINTS)
def endpoint(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def variant(only):
    def find(name: str):
        (one,) = only(name, "AWS::SageMaker::EndpointConfig")["ProductionVariants"]
        return one

    return find


@pytest.fixture(scope="session")
def sagemaker():
    """The shapes of SageMaker's API, as the SDK knows them."""
    return boto3.client("sagemaker", region_name="us-east-1").meta.service_model


@pytest.mark.parametrize("name", ["inf2-endpoint", "trn1-endpoint"])
def test_a_neuron_host_runs_the_image_with_the_newer_driver(variant, name):
    assert variant(name)["InferenceAmiVersion"] == "al2-ami-sagemaker-inference-neuron-2"


def test_a_cpu_host_runs_sagemakers_default_image(variant):
    assert "InferenceAmiVersion" not in variant("cpu-endpoint")


def test_sagemaker_knows_the_instance_type_and_the_host_image(endpoint, variant, sagemaker):
    asked = variant(endpoint)
    assert asked["InstanceType"] in sagemaker.shape_for("ProductionVariantInstanceType").enum
    images = sagemaker.shape_for("ProductionVariantInferenceAmiVersion").enum
    assert asked.get("InferenceAmiVersion", images[0]) in images


def test_timeouts_are_within_sagemakers_hour(endpoint, variant):
    assert variant(endpoint)["ModelDataDownloadTimeoutInSeconds"] <= 3600
    assert variant(endpoint)["ContainerStartupHealthCheckTimeoutInSeconds"] <= 3600


def test_the_count_asked_for_is_the_count_started(endpoint, variant):
    assert variant(endpoint)["InitialInstanceCount"] == 2


def test_the_container_has_no_network_and_sits_in_private_subnets(endpoint, template):
    served = template(endpoint)
    (group,) = served.find_resources("AWS::EC2::SecurityGroup")
    served.has_resource_properties(
        "AWS::SageMaker::Model",
        {
            "EnableNetworkIsolation": True,
            "VpcConfig": {
                "SecurityGroupIds": [{"Fn::GetAtt": [group, "GroupId"]}],
                "Subnets": [Match.any_value(), Match.any_value()],
            },
        },
    )


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("inf2-endpoint", {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}),
        ("sleeping-components", {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}),  # one chip of Inferentia2 has two cores
        ("cpu-endpoint", None),
    ],
)
def test_a_container_runs_as_many_copies_as_its_cores_hold(name, environment, template):
    for model in template(name).find_resources("AWS::SageMaker::Model").values():
        assert model["Properties"]["PrimaryContainer"].get("Environment") == environment


def test_nothing_reaches_the_container_from_the_network(endpoint, only):
    assert "SecurityGroupIngress" not in only(endpoint, "AWS::EC2::SecurityGroup")


def test_the_container_gets_the_artifact_as_it_lies_in_s3(endpoint, template):
    served = template(endpoint)
    (compiled,) = served.find_resources("Custom::NeuronCompiledModel")
    served.has_resource_properties(
        "AWS::SageMaker::Model",
        {
            "PrimaryContainer": Match.object_like(
                {
                    "ModelDataSource": {
                        "S3DataSource": {
                            "S3Uri": {"Fn::GetAtt": [compiled, "ArtifactUri"]},
                            "S3DataType": "S3Prefix",
                            "CompressionType": "None",
                        }
                    },
                    "ModelDataUrl": Match.absent(),
                }
            )
        },
    )


def test_what_serves_is_of_the_sdk_that_compiled(only):
    compiled = only("inf2-endpoint", "Custom::NeuronCompiledModel")["Model"]
    image = only("inf2-endpoint", "AWS::SageMaker::Model")["PrimaryContainer"]["Image"]
    assert f"sdk{compiled['Sdk']}-" in image


def test_volumes_are_under_our_key(only):
    assert "StoreKey" in json.dumps(only("inf2-endpoint", "AWS::SageMaker::EndpointConfig")["KmsKeyId"])


def test_a_host_with_local_disks_takes_no_key(only):
    assert "KmsKeyId" not in only("trn1-endpoint", "AWS::SageMaker::EndpointConfig")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("AWS::SageMaker::Model", "ModelName"),
        ("AWS::SageMaker::EndpointConfig", "EndpointConfigName"),
    ],
)
def test_what_is_replaced_has_no_physical_name(endpoint, only, kind, name):
    assert name not in only(endpoint, kind)


# -- rights --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def role(resources, statements):
    """The statements of the role SageMaker serves under."""

    def find(name: str):
        (found,) = (
            role
            for role in resources(name, "AWS::IAM::Role").values()
            if "sagemaker.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
        )
        return statements(found)

    return find


def test_the_role_reads_its_artifact_and_no_other_object(endpoint, template, role):
    (compiled,) = template(endpoint).find_resources("Custom::NeuronCompiledModel")
    objects = [s for s in role(endpoint) if any(a.startswith("s3:") and "Object" in a for a in s["Action"])]
    assert [statement["Action"] for statement in objects] == [["s3:GetObject"]]
    (resource,) = objects[0]["Resource"]
    assert resource["Fn::Join"][1][-3:] == ["/artifacts/", {"Fn::GetAtt": [compiled, "ArtifactKey"]}, "/*"]


def test_the_role_lists_its_artifact_and_no_other_prefix(endpoint, template, role):
    (compiled,) = template(endpoint).find_resources("Custom::NeuronCompiledModel")
    (listing,) = (statement for statement in role(endpoint) if "s3:ListBucket" in statement["Action"])
    (prefix,) = listing["Condition"]["StringLike"]["s3:prefix"]
    assert prefix["Fn::Join"][1] == ["artifacts/", {"Fn::GetAtt": [compiled, "ArtifactKey"]}, "/*"]


def test_the_role_pulls_its_image_alone(role):
    (pull,) = (statement for statement in role("inf2-endpoint") if "ecr:BatchGetImage" in statement["Action"])
    assert json.dumps(pull["Resource"]).endswith(
        ':ecr:us-east-1:763104351884:repository/pytorch-inference-neuronx"]]}]'
    )


def test_the_role_attaches_its_group_in_the_networks_subnets(endpoint, template, role):
    (group,) = template(endpoint).find_resources("AWS::EC2::SecurityGroup")
    (attach,) = (statement for statement in role(endpoint) if "ec2:CreateNetworkInterface" in statement["Action"])
    arns = [json.dumps(resource) for resource in attach["Resource"]]
    assert sum(":network-interface/*" in arn for arn in arns) == 1
    assert sum(group in arn for arn in arns) == 1
    assert sum(":subnet/" in arn and "*" not in arn for arn in arns) == 2
    assert len(arns) == 4


def test_only_sagemaker_in_this_account_takes_the_role_on(resources):
    trusts = [role["AssumeRolePolicyDocument"] for role in resources("inf2-endpoint", "AWS::IAM::Role").values()]
    assert {
        "Statement": [
            {
                "Action": "sts:AssumeRole",
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}},
            }
        ],
        "Version": "2012-10-17",
    } in trusts


def test_a_caller_may_invoke_this_endpoint_and_no_other(template):
    served = template("inf2-endpoint")
    (endpoint,) = served.find_resources("AWS::SageMaker::Endpoint")
    served.has_resource_properties(
        "AWS::IAM::Policy",
        {
            "PolicyDocument": Match.object_like(
                {
                    "Statement": [
                        {"Action": "sagemaker:InvokeEndpoint", "Effect": "Allow", "Resource": {"Ref": endpoint}}
                    ]
                }
            )
        },
    )


# -- metrics and refusals ------------------------------------------------------------------------------------------


@pytest.fixture
def served(platform, a_model):
    """``served("inf2", "ml.inf2.xlarge")``: an endpoint that is not synthesized."""

    def make(target: str, *types: str, **fields) -> NeuronEndpoint:
        compiled = CompiledModel(
            platform.stack, "Model", pipeline=platform.pipeline, name="minilm", model=a_model(target)
        )
        return NeuronEndpoint(
            platform.stack,
            "Endpoint",
            model=compiled,
            instance_types=list(types),
            vpc=platform.vpc,
            store=platform.store,
            **{"size": spec.Range(min=1, max=1), **fields},
        )

    return make


def test_metrics_name_the_endpoint_and_its_variant(served):
    endpoint = served("inf2", "ml.inf2.xlarge")
    for metric in (
        endpoint.metric_invocations(),
        endpoint.metric_client_errors(),
        endpoint.metric_server_errors(),
        endpoint.metric_model_latency(),
        endpoint.metric_overhead_latency(),
        endpoint.metric_concurrent_requests(),
    ):
        assert metric.namespace == "AWS/SageMaker"
        assert metric.dimensions == {"EndpointName": endpoint.endpoint_name, "VariantName": "Main"}


def test_a_queues_metrics_know_no_variant(served):
    endpoint = served("inf2", "ml.inf2.xlarge", mode="async")
    for metric in (endpoint.metric_backlog_size(), endpoint.metric_backlog_size_per_instance()):
        assert metric.dimensions == {"EndpointName": endpoint.endpoint_name}


def test_a_host_of_another_chip_is_refused(served):
    message = "NCDK-TYPE-008 instance_types[0]: model minilm is compiled for inf2, and ml.trn1.2xlarge runs trn1"
    with pytest.raises(ValueError, match=re.escape(message)):
        served("inf2", "ml.trn1.2xlarge")


def test_a_pool_of_another_chip_is_refused_too(served):
    with pytest.raises(ValueError, match=r"ml\.trn1\.2xlarge runs trn1"):
        served("inf2", "ml.inf2.xlarge", "ml.trn1.2xlarge")


def test_an_ec2_name_is_refused(served):
    with pytest.raises(ValueError, match=r"this is EC2's name.*write ml\.inf2\.xlarge"):
        served("inf2", "inf2.xlarge")


def test_a_model_that_nobody_compiled_is_refused_by_name(served):
    with pytest.raises(ValueError, match="no compiled model is called 'other': add it to models"):
        served("inf2", "ml.inf2.xlarge", shadow=spec.Shadow(model="other", percent=10))


def test_one_type_as_a_text_is_refused(platform, a_model):
    with pytest.raises(ValueError, match=r'give a list, \["ml.inf2.xlarge"\]'):
        NeuronEndpoint(
            platform.stack,
            "Endpoint",
            vpc=platform.vpc,
            store=platform.store,
            instance_types="ml.inf2.xlarge",
            size=spec.Range(min=1, max=1),
        )


def test_a_value_out_of_range_is_refused_as_in_the_file(served):
    with pytest.raises(ValueError, match=r"provision_timeout_minutes: .* given 2"):
        served("inf2", "ml.inf2.xlarge", provision_timeout_minutes=2)


def test_more_alarms_than_sagemaker_takes_are_refused(served):
    rollout = spec.Rollout(max_error_rate=0.1, alarms=tuple(f"alarm-{index}" for index in range(10)))
    with pytest.raises(ValueError, match="NCDK-ROLLOUT-013"):
        served("inf2", "ml.inf2.xlarge", rollout=rollout)


def test_the_file_and_the_constructor_make_one_template(app, platform, a_model):
    fields = {"instance_types": ("ml.inf2.xlarge",), "size": spec.Range(min=2, max=4)}
    around = {"vpc": platform.vpc, "store": platform.store}

    def model(stack: Stack) -> CompiledModel:
        return CompiledModel(stack, "Model", pipeline=platform.pipeline, name="minilm", model=a_model("inf2"))

    code, file = (Stack(app, name, env=platform.env) for name in ("code", "file"))
    NeuronEndpoint(code, "Endpoint", model=model(code), **fields, **around)
    NeuronEndpoint.from_file(file, "Endpoint", spec.Endpoint(model="minilm", **fields), models=[model(file)], **around)
    one, other = (json.dumps(Template.from_stack(stack).to_json()) for stack in (code, file))
    named = re.compile(r"(code|file)-[0-9a-f]{8}")
    assert named.findall(one)
    assert named.sub("", one) == named.sub("", other)
