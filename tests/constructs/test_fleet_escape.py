"""Ways out: what a fleet takes from outside, what it carries on top, and that file and props make the same fleet."""

from __future__ import annotations

import json

import pytest
from aws_cdk import App, Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk.assertions import Template

from neuron_cdk import ArtifactStore, NeuronFleet, spec
from neuron_cdk.fleet import Additions, Existing

ROLE = "arn:aws:iam::111122223333:role/nodes"
KEY = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def build(tmp_path):
    """``build(lambda stack, given: NeuronFleet(…, **given))``: the template of a stack with what the function makes."""

    def make(define, name="Stack"):
        app = App(analytics_reporting=False, outdir=str(tmp_path / name))
        stack = Stack(app, name, env=Environment(account="111122223333", region="us-east-1"))
        vpc = ec2.Vpc.from_vpc_attributes(
            stack,
            "Vpc",
            vpc_id="vpc-0123456789abcdef0",
            availability_zones=["us-east-1a", "us-east-1b"],
            private_subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        )
        define(stack, {"vpc": vpc, "store": ArtifactStore(stack, "Store")})
        return Template.from_stack(stack)

    return make


PLAIN = {"purpose": "inference", "instance_types": ["inf2.xlarge"], "size": spec.Size(min=0, max=2)}


def test_an_existing_vpc_key_group_and_role_are_taken_as_they_are(build):
    def define(stack, given):
        existing = Existing(
            security_group=ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0"),
            role=iam.Role.from_role_arn(stack, "Role", ROLE),
            key=kms.Key.from_key_arn(stack, "Key", KEY),
        )
        NeuronFleet(stack, "Fleet", existing=existing, **given, **PLAIN)

    template = build(define)
    (launched,) = template.find_resources("AWS::EC2::LaunchTemplate").values()
    data = launched["Properties"]["LaunchTemplateData"]
    assert data["NetworkInterfaces"][0]["Groups"] == ["sg-0123456789abcdef0"]
    assert data["BlockDeviceMappings"][0]["Ebs"]["KmsKeyId"] == KEY
    template.has_resource_properties("AWS::IAM::InstanceProfile", {"Roles": ["nodes"]})
    (group,) = template.find_resources("AWS::AutoScaling::AutoScalingGroup").values()
    assert group["Properties"]["VPCZoneIdentifier"] == ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    # Its own rights come on top of what the role has.
    (policy,) = (
        p for p in template.find_resources("AWS::IAM::Policy").values() if p["Properties"].get("Roles") == ["nodes"]
    )
    assert "autoscaling:CompleteLifecycleAction" in json.dumps(policy)


def test_policies_commands_and_volumes_come_on_top(build):
    additions = Additions(
        policies=[iam.PolicyStatement(actions=["sqs:ReceiveMessage"], resources=["arn:aws:sqs:us-east-1:1:q"])],
        commands=["echo hello > /tmp/hello"],
        block_devices=[{"deviceName": "/dev/sdf", "ebs": {"volumeSize": 1000, "volumeType": "gp3"}}],
    )
    template = build(lambda stack, given: NeuronFleet(stack, "Fleet", additions=additions, **given, **PLAIN))
    (launched,) = template.find_resources("AWS::EC2::LaunchTemplate").values()
    root, added = launched["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"]
    assert (root["DeviceName"], added["DeviceName"]) == ("/dev/sda1", "/dev/sdf")
    assert added["Ebs"]["Encrypted"] is True
    assert "sqs:ReceiveMessage" in json.dumps(template.to_json())
    assert "echo hello > /tmp/hello" in json.dumps(launched["Properties"]["LaunchTemplateData"]["UserData"])


FROM_FILE = {
    "purpose": "inference",
    "instance_types": ["inf2.xlarge", "inf2.8xlarge"],
    "size": {"min": 1, "max": 6, "desired": 2},
    "capacity": [{"kind": "spot"}, {"kind": "on-demand", "base": 1}],
    "scaling": {"metric": "neuroncore-utilization", "target": 70, "scale_in_cooldown_s": 900},
    "schedule": [{"cron": "0 8 ? * MON-FRI *", "min": 2, "max": 6}],
    "ami": "ami-0123456789abcdef0",
    "max_lifetime_days": 14,
    "return_after_minutes": 30,
    "drain_minutes": 2,
}


def test_the_file_and_plain_props_make_the_same_template(build):
    from_file = build(
        lambda stack, given: NeuronFleet.from_file(stack, "Fleet", spec.Fleet.model_validate(FROM_FILE), **given),
        "Same",
    )
    plain = build(
        lambda stack, given: NeuronFleet(
            stack,
            "Fleet",
            purpose="inference",
            instance_types=["inf2.xlarge", "inf2.8xlarge"],
            size=spec.Size(min=1, max=6, desired=2),
            capacity=[spec.Spot(kind="spot"), spec.OnDemand(kind="on-demand", base=1)],
            scaling=spec.FleetScaling(metric="neuroncore-utilization", target=70, scale_in_cooldown_s=900),
            schedule=[spec.ScheduledSize(cron="0 8 ? * MON-FRI *", min=2, max=6)],
            ami="ami-0123456789abcdef0",
            max_lifetime_days=14,
            return_after_minutes=30,
            drain_minutes=2,
            **given,
        ),
        "Same",
    )
    assert from_file.to_json() == plain.to_json()


def test_every_field_of_a_fleet_in_the_file_is_a_parameter_of_the_construct():
    parameters = set(NeuronFleet.__init__.__annotations__)
    assert set(spec.Fleet.model_fields) - parameters == {"zone"}  # a list there: zones


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"instance_types": "inf2.xlarge"}, r"instance_types is one text, 'inf2.xlarge': give a list"),
        ({"model": "encoder"}, "model is 'encoder': give a CompiledModel"),
        ({"purpose": "fun"}, "purpose: Input should be 'training' or 'inference', given 'fun'"),
        ({"drain_minutes": 0}, "drain_minutes: Input should be greater than or equal to 1, given 0"),
        ({"ami": "ami-1"}, "ami: this is not an AMI id, given 'ami-1'"),
    ],
)
def test_a_wrong_prop_is_named_with_what_is_allowed(wrong, says, build):
    with pytest.raises(ValueError, match=says):
        build(lambda stack, given: NeuronFleet(stack, "Fleet", **{**given, **PLAIN, **wrong}))


def test_commands_in_one_text_are_refused():
    with pytest.raises(ValueError, match="commands is one text, 'echo hi': give a list"):
        Additions(commands="echo hi")


def test_a_block_device_without_a_name_is_refused():
    with pytest.raises(ValueError, match="a block device has device and no deviceName"):
        Additions(block_devices=[{"device": "x"}])
