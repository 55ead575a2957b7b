"""The image a compile job runs in: AWS's own where SageMaker can pull it, a copy where it cannot."""

from __future__ import annotations

import pytest
from aws_cdk import Stack, Token
from aws_cdk.assertions import Template

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
