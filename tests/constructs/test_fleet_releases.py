"""A fleet of the release pipeline: who says which launch template version its groups launch from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Tags

from neuron_cdk import spec
from stacks import build_app
from tests.constructs.conftest import FLAGS

ROLE = "AWS::IAM::Role"


def statements(template: Any, hook: str) -> list[dict[str, Any]]:
    """What the role of one of the fleet's hooks may do."""
    (role,) = (properties["Properties"] for name, properties in template.find_resources(ROLE).items() if hook in name)
    return [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def allowed(template: Any, hook: str, action: str) -> dict[str, Any]:
    (one,) = (one for one in statements(template, hook) if action in one["Action"])
    return one


@pytest.fixture(scope="session")
def version(resources) -> tuple[str, dict[str, Any]]:
    """The logical id and the properties of what CloudFormation asks for the version."""
    ((name, properties),) = (
        (name, one) for name, one in resources("released", "Custom::NeuronFleetVersion").items() if "Keep" not in one
    )
    return name, properties


@pytest.fixture(scope="session")
def kept(resources) -> dict[str, Any]:
    """The properties of what asks once more after the groups."""
    (found,) = (one for one in resources("released", "Custom::NeuronFleetVersion").values() if "Keep" in one)
    return found


@pytest.fixture(scope="session")
def declaration(only) -> dict[str, Any]:
    """The release's declaration, with what is known at deploy only as text."""
    text = only("released", "Custom::NeuronRelease")["Declaration"]["Fn::Join"][1]
    return json.loads("".join(part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in text))


def named(group: dict[str, Any]) -> dict[str, Any]:
    if "LaunchTemplate" in group:
        return group["LaunchTemplate"]
    return group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]


def test_every_group_launches_from_the_version_that_was_released(version, groups, resources):
    name, properties = version
    templates = [each["Id"]["Ref"] for each in properties["Templates"]]
    assert sorted(templates) == sorted(resources("released", "AWS::EC2::LaunchTemplate"))
    for group in groups("released").values():
        number = templates.index(named(group)["LaunchTemplateId"]["Ref"]) + 1
        assert named(group)["Version"] == {"Fn::GetAtt": [name, f"Version{number}"]}


def test_cloudformations_own_version_is_what_is_told(version):
    for each in version[1]["Templates"]:
        assert each["Version"] == {"Fn::GetAtt": [each["Id"]["Ref"], "LatestVersionNumber"]}


def test_whatever_is_told_a_group_is_told_the_version_too(version, groups):
    assert len(version[1]["Groups"]) == len(groups("released"))
    for one in version[1]["Groups"]:
        assert {"vpc_zone_identifier", "target_group_arns", "lifecycle_hook_specification_list", "tags"} <= set(one)


def test_after_the_groups_it_is_asked_once_more_with_the_same(version, kept, resources):
    named = {one["Name"]["Ref"] for one in kept["Keep"]}
    assert named == set(resources("released", "AWS::AutoScaling::AutoScalingGroup"))
    assert kept["Groups"] == version[1]["Groups"]


def test_the_controller_replaces_nobody(only, template):
    (release,) = template("released").find_resources("Custom::NeuronFleetRelease").values()
    assert release["Properties"]["Version"] == "released"
    variables = [
        one["Properties"]["Environment"]["Variables"]
        for one in template("released").find_resources("AWS::Lambda::Function").values()
    ]
    (fleet,) = (one["FLEET"] for one in variables if "FLEET" in one)
    assert '"refresh": null' in json.dumps(fleet).replace('\\"', '"')


def test_the_release_knows_groups_bases_and_how_instances_are_replaced(declaration, groups):
    assert [one["pool"] for one in declaration["groups"]] == ["capacity-block", "spot", "on-demand"]
    assert all("LatestVersionNumber" in one["version"] for one in declaration["groups"])
    assert len({one["template"] for one in declaration["groups"]}) == 2
    assert declaration["refresh"]["checkpoints"] == [50, 100]
    assert declaration["refresh"]["bake_seconds"] == 300
    assert len(declaration["refresh"]["alarms"]) == 1


def test_the_release_comes_after_the_groups_and_their_controller(template):
    (release,) = template("released").find_resources("Custom::NeuronRelease").values()
    (controller,) = template("released").find_resources("Custom::NeuronFleetRelease")
    assert controller in release["DependsOn"]
    assert release["Properties"]["Target"] == "fleet/serve"


def test_instances_may_read_whatever_is_released(template):
    (instances,) = (
        one["Properties"]
        for one in template("released").find_resources(ROLE).values()
        if "ec2.amazonaws.com" in json.dumps(one["Properties"]["AssumeRolePolicyDocument"])
    )
    reads = [
        one
        for policy in instances["Policies"]
        for one in policy["PolicyDocument"]["Statement"]
        if one["Action"] == ["s3:GetObject"] or one["Action"] == "s3:GetObject"
    ]
    assert '/artifacts/*"' in json.dumps(reads)


def test_a_release_runs_instances_of_this_fleets_templates_alone(template, version):
    run = allowed(template("released"), "ReleasesStep", "ec2:RunInstances")
    templates = run["Condition"]["ArnEquals"]["ec2:LaunchTemplate"]
    assert len(templates) == len(version[1]["Templates"])
    assert allowed(template("released"), "ReleasesStep", "ec2:CreateLaunchTemplateVersion")["Resource"] == templates


def test_a_release_touches_this_fleets_groups_alone(template):
    update = allowed(template("released"), "ReleasesStep", "autoscaling:UpdateAutoScalingGroup")
    assert update["Condition"] == {"StringEquals": {"autoscaling:ResourceTag/neuron-cdk:fleet": "released/Fleet"}}


def test_asking_for_the_version_reads_one_record(template):
    read = allowed(template("released"), "VersionHook", "dynamodb:GetItem")
    keys = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["release#fleet/serve"]}}
    assert read["Condition"] == keys


FILE = """
name: tagged
environment: {account: "111122223333", region: us-east-1}
network: {cidr: 10.0.0.0/16, availability_zones: 2, egress: nat}
models:
  m:
    source: {s3: s3://models/m/}
    task: t
    compile: {engine: torch-neuronx, target: inf2, sequence_lengths: [128]}
fleets:
  serve:
    purpose: inference
    instance_types: [inf2.xlarge]
    size: {min: 1, max: MAX}
    model: m
    managed_by: pipeline
"""


@pytest.fixture(scope="session")
def asked(tmp_path_factory):
    """``asked(max=4, team="one")``: the properties with which CloudFormation asks for the version."""

    def build(most: int = 4, **tags: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp("tagged")
        file = folder / "tagged.yaml"
        file.write_text(FILE.replace("MAX", str(most)))
        app: App = build_app(spec.load(file).deployment, outdir=str(folder / "out"), context=FLAGS)
        for name, value in tags.items():
            Tags.of(app).add(name, value)
        (stack,) = (stack for stack in app.synth().stacks if stack.stack_name == "tagged-Fleet-serve")
        (found,) = (
            one["Properties"]
            for one in stack.template["Resources"].values()
            if one["Type"] == "Custom::NeuronFleetVersion" and "Keep" not in one["Properties"]
        )
        return found

    return build


@pytest.fixture(scope="session")
def as_it_is(asked):
    return asked()


@pytest.mark.parametrize("change", [{"most": 5}, {"team": "search"}], ids=["a field", "a tag"])
def test_a_change_of_the_groups_asks_anew(asked, as_it_is, change):
    assert asked(**change) != as_it_is


def test_nothing_changed_asks_nothing(asked, as_it_is):
    assert asked() == as_it_is
