"""A public image in a private repository: what is kept, who may write it, what the build does, how it answers."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace

import pytest
import yaml
from aws_cdk import Stack
from aws_cdk.assertions import Template

from neuron_cdk import CompiledModel, NeuronEndpoint, spec
from neuron_cdk.catalog import software
from neuron_cdk.model.image_mirror import ImageMirror

IMAGE = "public.ecr.aws/neuron/pytorch-inference-vllm-neuronx:0.16.0"
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def mirrored(app, platform):
    """``mirrored(digest)``: the template of a stack with one mirror."""

    def make(digest: str | None = None) -> Template:
        stack = Stack(app, "Mirror", env=platform.env)
        ImageMirror(stack, "Mirror", store=platform.store, image=IMAGE, digest=digest)
        return Template.from_stack(stack)

    return make


def one(template: Template, kind: str) -> dict:
    (resource,) = template.find_resources(kind).values()
    return resource


@pytest.fixture
def buildspec(mirrored):
    return yaml.safe_load(one(mirrored(), "AWS::CodeBuild::Project")["Properties"]["Source"]["BuildSpec"])


def test_the_copy_is_kept_scanned_encrypted_and_its_tags_stay(mirrored):
    repository = one(mirrored(), "AWS::ECR::Repository")
    assert repository["DeletionPolicy"] == "Retain"
    assert repository["Properties"]["ImageTagMutability"] == "IMMUTABLE"
    assert repository["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert "StoreKey" in json.dumps(repository["Properties"]["EncryptionConfiguration"])


def test_a_known_digest_is_what_is_copied_and_what_must_come_out(mirrored):
    copy = one(mirrored(DIGEST), "Custom::NeuronImageMirror")["Properties"]
    assert (copy["Source"], copy["Tag"], copy["Digest"]) == (f"{IMAGE.rpartition(':')[0]}@{DIGEST}", "0.16.0", DIGEST)


def test_without_one_the_tag_is_copied(mirrored):
    copy = one(mirrored(), "Custom::NeuronImageMirror")["Properties"]
    assert (copy["Source"], copy["Tag"], copy["Digest"]) == (IMAGE, "0.16.0", "")


def test_the_build_writes_to_this_repository_alone(mirrored):
    template = mirrored()
    (repository,) = template.find_resources("AWS::ECR::Repository")
    (role,) = (
        role
        for role in template.find_resources("AWS::IAM::Role").values()
        if "codebuild" in json.dumps(role["Properties"]["AssumeRolePolicyDocument"])
    )
    (policy,) = role["Properties"]["Policies"]
    allowed = {json.dumps(each["Action"]): each["Resource"] for each in policy["PolicyDocument"]["Statement"]}
    (writing,) = (resource for actions, resource in allowed.items() if "ecr:PutImage" in actions)
    assert writing == {"Fn::GetAtt": [repository, "Arn"]}
    assert [actions for actions, resource in allowed.items() if resource == "*"] == ['"ecr:GetAuthorizationToken"']


def test_the_build_has_no_privileges(mirrored):
    environment = one(mirrored(), "AWS::CodeBuild::Project")["Properties"]["Environment"]
    assert not environment.get("PrivilegedMode")


def test_nothing_is_unpacked_on_the_way(buildspec):
    (copy,) = (command for command in buildspec["phases"]["build"]["commands"] if "imagetools" in command)
    assert "--prefer-index=false" in copy


@pytest.fixture
def build(buildspec, tmp_path):
    """``build(outcome, digest, expected)``: the commands as CodeBuild runs them, with AWS and Docker replaced."""

    def run(*, there: bool, digest: str, expected: str = "") -> tuple[bool, dict, str]:
        standins = tmp_path / "bin"
        standins.mkdir()
        present = tmp_path / "present"
        if there:
            present.touch()
        for name, script in {
            "aws": f'case "$*" in *describe-images*) test -e {present} && echo {digest};; *) echo password;; esac',
            "docker": f'echo "$@" >> {tmp_path}/docker; case "$1" in buildx) touch {present};; esac',
            "curl": f'cp "{tmp_path}/answer" {tmp_path}/sent',
        }.items():
            (standins / name).write_text(f"#!/bin/sh\n{script}\n")
            (standins / name).chmod(0o755)
        environment = {
            "PATH": f"{standins}:{os.defpath}",
            "REPOSITORY": "111122223333.dkr.ecr.us-east-1.amazonaws.com/mirror-1a2b",
            "SOURCE": IMAGE,
            "TAG": "0.16.0",
            "EXPECTED": expected,
            "CODEBUILD_BUILD_ID": "mirror:42",
            "STACK_ID": "arn:aws:cloudformation:us-east-1:111122223333:stack/one/two",
            "REQUEST_ID": "0d5bb4ad",
            "LOGICAL_ID": "MirrorCopy",
            "ANSWER_URL": "https://cloudformation.example/answer",
        }

        def phase(name: str, **more: str) -> bool:
            script = "\n".join(buildspec["phases"][name]["commands"]).replace("/tmp/", f"{tmp_path}/")
            done = subprocess.run(["sh", "-ec", script], env={**environment, **more}, check=False, capture_output=True)
            return done.returncode == 0

        worked = phase("build")
        assert phase("post_build", CODEBUILD_BUILD_SUCCEEDING=str(int(worked)))
        return worked, json.loads((tmp_path / "sent").read_text()), (tmp_path / "docker").read_text()

    return run


def test_a_copy_is_answered_with_its_digest(build):
    worked, answer, docker = build(there=False, digest=DIGEST, expected=DIGEST)
    assert worked
    assert answer["Status"] == "SUCCESS"
    assert answer["Data"] == {"Digest": DIGEST}
    assert (answer["RequestId"], answer["LogicalResourceId"]) == ("0d5bb4ad", "MirrorCopy")
    assert "imagetools create" in docker


def test_what_is_there_is_not_copied_again(build):
    worked, _, docker = build(there=True, digest=DIGEST)
    assert worked
    assert "imagetools" not in docker


def test_another_digest_than_expected_fails_the_stack(build):
    worked, answer, _ = build(there=True, digest=DIGEST, expected="sha256:" + "cd" * 32)
    assert not worked
    assert answer["Status"] == "FAILED"
    assert "mirror:42" in answer["Reason"]


@pytest.mark.parametrize("image", ["docker.io/library/busybox:1", "public.ecr.aws/neuron/server", "server:1"])
def test_what_is_no_tagged_public_image_is_refused(platform, image):
    with pytest.raises(ValueError, match="is not a tagged image of the public registry"):
        ImageMirror(platform.stack, "Mirror", store=platform.store, image=image)


def test_an_endpoint_that_needs_a_public_image_serves_the_copy(app, platform, a_model, monkeypatch):
    stack = Stack(app, "Served", env=platform.env)
    model = CompiledModel(stack, "Model", pipeline=platform.pipeline, name="minilm", model=a_model("inf2"))
    known = software.resolve(target="inf2", engine="torch-neuronx", service="endpoint", region="us-east-1")
    monkeypatch.setattr(software, "resolve", lambda **_: replace(known, image=IMAGE, image_digest=DIGEST))
    NeuronEndpoint(
        stack,
        "Endpoint",
        vpc=platform.vpc,
        store=platform.store,
        model=model,
        instance_types=["ml.inf2.xlarge"],
        size=spec.Range(min=1, max=1),
    )
    template = Template.from_stack(stack)
    (copy,) = template.find_resources("Custom::NeuronImageMirror")
    (repository,) = template.find_resources("AWS::ECR::Repository")
    image = json.dumps(one(template, "AWS::SageMaker::Model")["Properties"]["PrimaryContainer"]["Image"])
    assert json.dumps({"Fn::GetAtt": [copy, "Digest"]}) in image
    assert json.dumps({"Ref": repository}) in image
