"""What a synthesized app consists of, read from its templates: stacks, main resources, what one takes from another."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Properties = Mapping[str, Any]
Named = Mapping[str, Properties]  # construct name to properties, of all resources of one type in one stack


@dataclass(frozen=True)
class Stack:
    """One stack. ``uses`` is what it takes from each other stack: ``{"sandbox-Artifacts": ["bucket", "key"]}``."""

    name: str
    resources: tuple[str, ...]
    uses: Mapping[str, Sequence[str]]


def stacks(folder: Path) -> tuple[Stack, ...]:
    """The stacks of a cloud assembly, producers before consumers, as the assembly lists them."""
    artifacts = json.loads((folder / "manifest.json").read_text())["artifacts"]
    templates = {  # a stack's artifact has the stack's name unless the app gave it another, which ours does not
        name: json.loads((folder / artifact["properties"]["templateFile"]).read_text())
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }
    return tuple(
        Stack(name, tuple(_described(template)), _uses(templates, name)) for name, template in templates.items()
    )


def _described(template: Mapping[str, Any]) -> Iterator[str]:
    by_type: dict[str, dict[str, Properties]] = {}
    for logical_id, resource in template["Resources"].items():
        name = re.sub(r"[0-9A-F]{8}$", "", logical_id)  # the hash that makes a logical id unique
        by_type.setdefault(resource["Type"], {})[name] = resource.get("Properties", {})
    unknown = by_type.keys() - MAIN.keys() - PLUMBING
    if unknown:
        raise LookupError(f"docs/assembly.py does not say whether to draw {', '.join(sorted(unknown))}")
    for resource_type, describe in MAIN.items():
        if resource_type in by_type:
            yield from describe(by_type[resource_type])


def _uses(templates: Mapping[str, Any], consumer: str) -> dict[str, list[str]]:
    uses: dict[str, set[str]] = {}
    for reference in _references(templates[consumer]["Resources"]):
        producer = reference["StackName"]
        value = templates[producer]["Outputs"][reference["OutputName"]]["Value"]
        logical_id = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
        resource_type = templates[producer]["Resources"][logical_id]["Type"]
        uses.setdefault(producer, set()).add(SHARED[resource_type])
    return {producer: sorted(uses[producer]) for producer in templates if producer in uses}


def _references(node: Any) -> Iterator[dict[str, str]]:
    """Every reference to another stack's output, wherever it stands."""
    if isinstance(node, dict):
        if "Fn::GetStackOutput" in node:
            yield node["Fn::GetStackOutput"]
        node = list(node.values())
    if isinstance(node, list):
        for part in node:
            yield from _references(part)


def _count(what: str) -> Callable[[Named], list[str]]:
    return lambda found: [what if len(found) == 1 else f"{len(found)} {what}s"]


def _each(describe: Callable[[Properties], str]) -> Callable[[Named], list[str]]:
    return lambda found: [describe(properties) for properties in found.values()]


def _machines(found: Named) -> list[str]:
    return sorted((f"State machine {re.findall('[A-Z][a-z]*', name)[-1]}" for name in found), reverse=True)


def _subnets(found: Named) -> list[str]:
    zones = sorted({str(subnet.get("AvailabilityZoneId") or subnet["AvailabilityZone"]) for subnet in found.values()})
    return [f"{len(found)} subnets: {', '.join(zones)}"]


def _launch_template(properties: Properties) -> str:
    data = properties["LaunchTemplateData"]
    kinds = [interface["InterfaceType"] for interface in data["NetworkInterfaces"]]
    efa = sum(kind.startswith("efa") for kind in kinds)
    return f"Launch template {data['InstanceType']}" + (f", {efa} EFA interface{'s' if efa > 1 else ''}" if efa else "")


def _group(properties: Properties) -> str:
    policy = properties.get("MixedInstancesPolicy", {})
    types = [override["InstanceType"] for override in policy.get("LaunchTemplate", {}).get("Overrides", ())]
    pool = next(tag["Value"] for tag in properties["Tags"] if tag["Key"] == "neuron-cdk:pool")
    return f"Auto Scaling group {pool}: {properties['MinSize']} to {properties['MaxSize']}" + (
        f" of {len(types)} types" if len(types) > 1 else ""
    )


def _policy(properties: Properties) -> str:
    tracking = properties["TargetTrackingConfiguration"]
    return f"Scaling: {tracking['CustomizedMetricSpecification']['MetricName']} at {tracking['TargetValue']}"


def _variants(properties: Properties) -> str:
    variants = [*properties["ProductionVariants"], *properties.get("ShadowProductionVariants", ())]
    return "Variant: " + ", ".join(f"{each['InitialInstanceCount']} of {_types(each)}" for each in variants)


def _types(variant: Properties) -> str:
    pools = variant.get("InstancePools")
    return " or ".join(pool["InstanceType"] for pool in pools) if pools else str(variant["InstanceType"])


MAIN: Mapping[str, Callable[[Named], list[str]]] = {
    "Custom::NeuronCompiledModel": _each(
        lambda it: f"Compiled model {it['Model']['Name']}: {it['Model']['Engine']}, {it['Model']['Target']}"
    ),
    "AWS::KMS::Key": _count("KMS key"),
    "AWS::S3::Bucket": _count("S3 bucket"),
    "AWS::DynamoDB::GlobalTable": _count("DynamoDB table"),
    "AWS::SNS::Topic": _count("SNS topic"),
    "AWS::EC2::VPC": _each(lambda vpc: f"VPC {vpc['CidrBlock']}"),
    "AWS::EC2::Subnet": _subnets,
    "AWS::EC2::NatGateway": _count("NAT gateway"),
    "AWS::EC2::VPCEndpoint": _count("VPC endpoint"),
    "AWS::EC2::FlowLog": _count("Flow log"),
    "AWS::StepFunctions::StateMachine": _machines,
    "AWS::Lambda::Function": _each(
        lambda function: f"Lambda {str(function['Handler']).split('.', 1)[1].rpartition('.')[0]}"
    ),
    "AWS::Events::Rule": _count("EventBridge rule"),
    "AWS::EC2::LaunchTemplate": _each(_launch_template),
    "AWS::EC2::PlacementGroup": _each(lambda group: f"Placement group: {group['Strategy']}"),
    "AWS::AutoScaling::AutoScalingGroup": _each(_group),
    "AWS::AutoScaling::WarmPool": _each(lambda pool: f"Warm pool of {pool['MinSize']}"),
    "AWS::AutoScaling::ScalingPolicy": _each(_policy),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _each(lambda it: f"Load balancer: {it['Scheme']}, {it['Type']}"),
    "Custom::NeuronFleetRelease": _count("Release of instances"),
    "AWS::CloudWatch::Alarm": _count("CloudWatch alarm"),
    "AWS::SageMaker::Model": _count("SageMaker model"),
    "AWS::SageMaker::EndpointConfig": _each(_variants),
    "Custom::NeuronEndpointChange": _count("Change of scaling"),
    "AWS::SageMaker::Endpoint": _count("SageMaker endpoint"),
    "AWS::SageMaker::InferenceComponent": _count("Inference component"),
    "Custom::NeuronEndpointInService": _count("Verification"),
}
"""How resources are drawn, in the order they are drawn in."""

PLUMBING = {
    "AWS::EC2::EIP",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::IAM::InstanceProfile",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::ResourceGroups::Group",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
}
"""Left out of the picture: what the main resources need to work."""

SHARED = {
    "AWS::DynamoDB::GlobalTable": "registry",
    "AWS::EC2::Subnet": "subnets",
    "AWS::EC2::VPC": "VPC",
    "AWS::KMS::Key": "key",
    "AWS::Lambda::Function": "hook",
    "AWS::S3::Bucket": "bucket",
}
"""What stacks give each other, in a word."""
