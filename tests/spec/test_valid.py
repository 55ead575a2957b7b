"""What must not be refused: unusual, and right."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from neuron_cdk.spec import Finding
from neuron_cdk.spec.cron import mistake

Find = Callable[[str | bytes], tuple[Finding, ...]]

FILES = {
    "nothing but a network": "",
    "a VPC that exists": """
        network:
          vpc_id: vpc-0123456789abcdef0
          subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
          availability_zones: [use1-az4, use1-az5]
          egress: nat
    """,
    "the smallest network for two zones": """
        network: {cidr: 192.168.0.0/24, availability_zones: 2, egress: endpoints-only}
    """,
    "zones listed in a region whose zones no source lists": """
        environment: {account: "111122223333", region: us-gov-west-1}
        network: {cidr: 10.0.0.0/16, availability_zones: [usgw1-az1, usgw1-az2], egress: nat}
    """,
    "fleets with EFA in two zones": """
        fleets:
          a: {purpose: training, instance_types: [trn1.32xlarge], size: {min: 0, max: 64}, zone: use1-az4}
          b: {purpose: training, instance_types: [trn1n.32xlarge], size: {min: 0, max: 64}, zone: use1-az6}
    """,
    "a parked fleet": """
        fleets:
          a: {purpose: inference, instance_types: [inf2.48xlarge], size: {min: 0, max: 0}}
    """,
    "spot alone": """
        fleets:
          a: {purpose: inference, instance_types: [inf2.xlarge], size: {min: 1, max: 4}, capacity: [{kind: spot}]}
    """,
    "a small Trainium without EFA": """
        fleets:
          a: {purpose: training, instance_types: [trn1.2xlarge], size: {min: 0, max: 1}, efa: {layout: none}}
    """,
    "one large instance without EFA": """
        fleets:
          a: {purpose: training, instance_types: [trn1.32xlarge], size: {min: 0, max: 1}, efa: {layout: none}}
    """,
    "a model for the embedded AWS": """
        environment: {account: "000000000000", region: us-east-1}
        models:
          m: {source: {s3: s3://bucket/m/}, task: file-type, compile: {engine: onnxruntime, target: cpu}}
        endpoints:
          e: {model: m, instance_types: [ml.m5.large], size: {min: 1, max: 1}}
    """,
    "tags of every allowed kind": """
        tags: {"Kosten stelle": "Ä/ß 4711 + 1 = 4712", "a:b": "", "x@y": "-_.:/=+@"}
    """,
}  # fmt: skip

LATER_ONLY = {
    "an empty asynchronous endpoint": """
        endpoints:
          e: {model: m, instance_types: [ml.inf2.xlarge], mode: async, size: {min: 0, max: 2},
              scaling: {metric: backlog, target: 5}}
    """,
    "an empty endpoint whose components go to zero": """
        endpoints:
          e:
            instance_types: [ml.inf2.24xlarge]
            size: {min: 0, max: 2}
            components: [{model: m, copies: {min: 0, max: 2}, accelerators: 2, memory_mib: 4096}]
            scaling: {metric: concurrent-requests, target: 5}
    """,
    "capacity with every fallback": """
        fleets:
          a:
            purpose: training
            instance_types: [trn1.32xlarge]
            size: {min: 0, max: 4}
            capacity:
              - {kind: capacity-block, reservation: cr-0123456789abcdef0}
              - {kind: capacity-block, reservation: cr-0123456789abcdef1}
              - {kind: reservation, reservation: cr-0123456789abcdef2}
              - {kind: spot}
              - {kind: on-demand, base: 4}
    """,
}
MODEL = """
models: {m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: torch-neuronx, target: inf2}}}
"""


@pytest.mark.parametrize("kind", FILES)
def test_nothing_is_found(kind: str, findings: Find, whole: Callable[[str], str]) -> None:
    assert findings(whole(dedent(FILES[kind]))) == ()


@pytest.mark.parametrize("kind", LATER_ONLY)
def test_nothing_is_wrong(kind: str, findings: Find, whole: Callable[[str], str]) -> None:
    found = findings(whole(MODEL + dedent(LATER_ONLY[kind])))

    assert [str(finding) for finding in found if finding.severity == "error"] == []


@pytest.mark.parametrize(
    "expression",
    [
        "0 8 ? * MON-FRI *",
        "*/5 * * * ? *",
        "0,30 8-18/2 ? * 2-6 2026-2030",
        "15 12 L * ? *",
        "0 10 3W * ? *",
        "0 10 LW * ? *",
        "0 0 ? JAN,jul 2#1 *",
        "0 0 ? * 6L *",
    ],
)
def test_cron_expressions_that_aws_takes(expression: str) -> None:
    assert mistake(expression) is None


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "has 0"),
        ("60 8 ? * * *", "60 is not a minute"),
        ("0 8 ? 13 * *", "13 is not a month"),
        ("0 8 ? MON * *", "MON is not a month"),
        ("0 8 32 * ? *", "32 is not a day of month"),
        ("0 8 ? * 0 *", "0 is not a day of week"),
        ("0 8 ? * FRI-MON *", "FRI-MON is not a day of week"),
        ("*/0 8 ? * * *", "*/0 is not a minute"),
        ("0 8 ? * ? *", "exactly one"),
        ("0 8 1 * MON *", "exactly one"),
        ("0 8 ? * * 26", "26 is not a year"),
        ("0 \u0668 ? * * *", "is not an hour"),
    ],
)
def test_cron_expressions_that_aws_refuses(expression: str, says: str) -> None:
    assert says in str(mistake(expression))
