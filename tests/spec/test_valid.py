"""What must not be refused: unusual, and right."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

from neuron_cdk.spec import Finding
from neuron_cdk.spec.cron import last_year, mistake

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
    "patterns with brackets, as fnmatch reads them": """
        environment: {account: "000000000000", region: us-east-1}
        models:
          m:
            source: {s3: s3://bucket/m/, include: ["a[[]b", "[!a]x.bin", "[]]", "part-[0-9][0-9].pt", "odd]"]}
            task: file-type
            compile: {engine: onnxruntime, target: cpu}
        endpoints:
          e: {model: m, instance_types: [ml.m5.large], size: {min: 1, max: 1}}
    """,
    "an endpoint that is empty at night": """
        environment: {account: "000000000000", region: us-east-1}
        models:
          m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: onnxruntime, target: cpu}}
        endpoints:
          e:
            model: m
            instance_types: [ml.m5.large]
            mode: async
            size: {min: 0, max: 4}
            scaling: {metric: backlog, target: 5}
            schedule: [{cron: "0 20 ? * * *", min: 0, max: 0}, {cron: "0 6 ? * * *", min: 1, max: 4}]
    """,
    "an endpoint that only the clock scales": """
        environment: {account: "000000000000", region: us-east-1}
        models:
          m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: onnxruntime, target: cpu}}
        endpoints:
          e:
            model: m
            instance_types: [ml.m5.large]
            size: {min: 1, max: 4}
            schedule: [{cron: "0 20 ? * * *", min: 1, max: 1}, {cron: "0 6 ? * * *", min: 4, max: 4}]
    """,
    "a variant that gets no requests but those that name it": """
        environment: {account: "000000000000", region: us-east-1}
        models:
          m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: onnxruntime, target: cpu}}
        endpoints:
          e:
            model: m
            instance_types: [ml.m5.large]
            size: {min: 1, max: 1}
            variants: {candidate: {model: m, weight: 0}}
            capture: {percent: 100}
            rollout: {alarms: [neuron-errors, "Neuron errors of all endpoints"], bake_minutes: 10}
    """,
    "components that are not there until they are asked for": """
        environment: {account: "000000000000", region: us-east-1}
        models:
          m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: onnxruntime, target: cpu}}
          n: {source: {s3: s3://bucket/n/}, task: t, compile: {engine: onnxruntime, target: cpu}}
        endpoints:
          e:
            instance_types: [ml.m5.large, ml.c5.large]
            size: {min: 0, max: 2}
            components:
              - {model: m, copies: {min: 0, max: 2}, memory_mib: 512, cpus: 0.5}
              - {model: n, copies: {min: 0, max: 1}, memory_mib: 512}
            scaling: {metric: concurrent-requests, target: 2}
    """,
    "fleets served in every way": """
        models:
          m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: torch-neuronx, target: inf2, sdk: "2.31.1"}}
        fleets:
          a: {purpose: inference, instance_types: [inf2.xlarge], size: {min: 1, max: 4}, model: m}
          b:
            purpose: inference
            instance_types: [inf2.xlarge, inf2.48xlarge]
            size: {min: 1, max: 4}
            model: m
            serving:
              certificate: arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef
            scaling: {metric: requests-per-target, target: 600}
          c:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 1, max: 4}
            model: m
            serving:
              load_balancer: network
              certificate: arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef
    """,
    "a network load balancer in one zone": """
        network: {cidr: 10.40.0.0/16, availability_zones: [use1-az4], egress: nat}
        models:
          m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: torch-neuronx, target: inf2, sdk: "2.31.1"}}
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 1, max: 4}
            model: m
            serving: {load_balancer: network}
    """,
    "a base below what is preferred": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge, inf2.8xlarge, inf2.24xlarge]
            size: {min: 0, max: 4}
            capacity: [{kind: spot}, {kind: on-demand, base: 2}]
    """,
    "reservations in several zones": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 2, max: 4}
            capacity:
              - {kind: reservation, reservation: cr-0123456789abcdef0}
              - {kind: reservation, reservation: cr-0123456789abcdef1}
              - {kind: on-demand}
    """,
    "a block for as long as it lasts": """
        fleets:
          a:
            purpose: training
            instance_types: [trn1.32xlarge]
            size: {min: 0, max: 16}
            zone: use1-az5
            capacity: [{kind: capacity-block, reservation: cr-0123456789abcdef0}]
    """,
    "empty at night": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 1, max: 4}
            scaling: {metric: neuroncore-utilization, target: 70}
            schedule:
              - {cron: "0 20 ? * * *", min: 0, max: 0}
              - {cron: "0 6 ? * * *", min: 1, max: 4}
    """,
    "scaling only by day": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 0, max: 4}
            scaling: {metric: neuroncore-utilization, target: 70}
            schedule: [{cron: "0 6 ? * * 2026-2030", min: 1, max: 4}]
    """,
    "a queue that brings a fleet back from zero": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 0, max: 4}
            scaling: {metric: queue-depth, target: 10, queue: "arn:aws:sqs:us-east-1:111122223333:work.fifo"}
            warm_pool: {size: 4}
    """,
    "a refresh that loses nobody": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf2.xlarge]
            size: {min: 3, max: 4}
            refresh: {min_healthy_percent: 100, checkpoints: [100], bake_minutes: 0}
            max_lifetime_days: 1
            drain_minutes: 120
    """,
    "the first Inferentia with an image of its own, and without": """
        fleets:
          a:
            purpose: inference
            instance_types: [inf1.xlarge, inf1.24xlarge]
            size: {min: 1, max: 4}
            ami: ami-0123456789abcdef0
          b: {purpose: inference, instance_types: [inf1.6xlarge], size: {min: 1, max: 4}}
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
              - {kind: on-demand}
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
        "0 0 29 FEB ? *",
        "0 0 29,30 2 ? 2028/4",
        "0 0 31 2,3 ? *",
        "0 0 */31 2 ? *",
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
        ("0 0 30 2 ? *", "there is no day 30 in month 2, so it never comes"),
        ("0 0 31W APR,JUN ? *", "there is no day 31W in month APR,JUN"),
        ("0 0 29 2 ? 2026,2027", "so it never comes"),
    ],
)
def test_cron_expressions_that_aws_refuses(expression: str, says: str) -> None:
    assert says in str(mistake(expression))


@pytest.mark.parametrize(
    ("expression", "year"),
    [
        ("0 8 ? * * *", None),
        ("0 8 ? * * */2", None),
        ("0 8 ? * * 2026/2", None),
        ("0 8 ? * * 2026", 2026),
        ("0 8 ? * * 2024-2030/2", 2030),
        ("0 8 ? * * 2031,2024-2026", 2031),
        ("0 8 ? * * 2024,*", None),
    ],
)
def test_the_last_year_of_a_cron_expression(expression: str, year: int | None) -> None:
    assert mistake(expression) is None
    assert last_year(expression) == year
