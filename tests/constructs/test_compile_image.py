"""The image a compile job runs in: AWS's own where SageMaker can pull it, a copy where it cannot."""

from __future__ import annotations

import json

import pytest
from aws_cdk import Stack, Token
from aws_cdk.assertions import Template

from neuron_cdk import CompiledModel, spec
from neuron_cdk.catalog import software
from neuron_cdk.model.compile_image import compile_image


@pytest.fixture
def stack(app, platform):
    return Stack(app, "Images", env=platform.env)


def image(engine: str, target: str) -> software.Software:
    return software.resolve(target=target, engine=engine, service="processing", region="us-east-1")


def test_an_image_of_a_private_registry_stays_what_it_is(stack, platform):
    known = image("torch-neuronx", "inf2")
    assert compile_image(stack, platform.store, known) == (known.image, "")
    assert stack.node.children == []


def test_a_public_image_is_copied_once_for_all_models_and_known_by_its_digest(stack, platform):
    uri, digest = compile_image(stack, platform.store, image("vllm", "trn2"))
    assert (uri, digest) == compile_image(stack, platform.store, image("vllm", "trn2"))
    assert uri.endswith(f"@{digest}")
    assert Token.is_unresolved(digest)
    template = Template.from_stack(stack)
    (copy,) = template.find_resources("Custom::NeuronImageMirror").values()
    assert copy["Properties"]["Source"].startswith("public.ecr.aws/neuron/pytorch-inference-vllm-neuronx:0.24.0.1.1.0")


def test_a_model_in_a_stack_of_its_own_is_compiled_in_the_copy(app, platform):
    stack = Stack(app, "Models", env=platform.env)
    wanted = {"engine": "vllm", "target": "trn2", "dtype": "bf16", "sequence_lengths": [4096], "tensor_parallel": 4}
    model = spec.Model.model_validate(
        {"source": {"s3": "s3://models/llama/"}, "task": "text-generation", "compile": wanted, "size_gb": 140.0}
    )
    CompiledModel(stack, "Llama", pipeline=platform.pipeline, name="llama", model=model)
    (resource,) = Template.from_stack(stack).find_resources("Custom::NeuronCompiledModel").values()
    properties = resource["Properties"]["Model"]
    assert "CompileImage" in json.dumps(properties["ImageDigest"])  # another stack's output
    assert ".dkr.ecr." in json.dumps(properties["Image"])
    assert properties["VolumeSizeGb"] == 420
    pull = [
        statement
        for policy in Template.from_stack(Stack.of(platform.pipeline)).find_resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "ecr:BatchGetImage" in statement["Action"]
    ]
    assert any("CompileImage" in json.dumps(statement["Resource"]) for statement in pull)
