"""A new instance type is an entry in the catalogue: interfaces, checks and defaults follow, without a line of code."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from textwrap import dedent
from typing import Any

import pytest

from neuron_cdk.catalog import _data, instances, regions
from neuron_cdk.spec import Finding, hosts, json_schema

Find = Callable[[str | bytes], tuple[Finding, ...]]
Whole = Callable[[str], str]

CHIP = {"name": "Trainium9", "vendor": "AWS", "cores": 8, "memory_gib": 144, "memory_bandwidth_gbps": 4900,
        "bf16_tflops": 1260, "fp8_tflops": 2520, "fp32_tflops": 181}  # fmt: skip
FAMILY = {"family": "trn9", "target": "trn2", "architecture": "x86_64", "quota_codes": {"on-demand": "L-2C3B7624"}}
KINDS = ["interface", "efa", "efa-only"]
LARGE = {"name": "trn9.48xlarge", "vcpu": 192, "memory_gib": 2048, "accelerator": "Trainium9", "accelerators": 16,
         "network_gbps": 1200, "efa": 3, "purchase": ["capacity-block", "on-demand"],
         "cards": [{"max_interfaces": 2, "gbps": 400, "kinds": KINDS},
                   {"count": 2, "max_interfaces": 1, "gbps": 400, "kinds": KINDS}],
         "placement": ["cluster"], "sagemaker": []}  # fmt: skip
SMALL = {**LARGE, "name": "trn9.3xlarge", "vcpu": 12, "accelerators": 1, "efa": 0,
         "cards": [{"max_interfaces": 2, "gbps": 50, "kinds": ["interface"]}]}  # fmt: skip
OFFERED = {"us-east-1": ["use1-az5"]}


@pytest.fixture(autouse=True)
def trn9(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The catalogue as if the data files had the entries above."""
    read = _data.read

    @cache
    def extended(name: str) -> dict[str, Any]:
        data = copy.deepcopy(read(name))
        if name == "instances":
            data["chips"].append(CHIP)
            data["families"].append(FAMILY)
            data["types"] += [LARGE, SMALL]
        elif name == "offerings":
            data["types"] += [{"type": each, "zones": OFFERED} for each in ("trn9.48xlarge", "trn9.3xlarge")]
        return data

    kept = (instances.get, instances._records, instances._accelerator, regions._offerings, hosts._types)
    for module in (instances, regions):
        monkeypatch.setattr(module, "read", extended)
    for function in kept:
        function.cache_clear()
    yield
    monkeypatch.undo()
    for function in kept:
        function.cache_clear()


def test_it_gets_the_interfaces_of_its_cards_in_both_layouts() -> None:
    large = instances.get("trn9.48xlarge")

    assert [
        [(one.network_card_index, one.device_index, one.kind) for one in instances.interfaces(large, layout)]
        for layout in ("efa", "efa-only")
    ] == [
        [(0, 0, "efa"), (1, 0, "efa"), (2, 0, "efa")],
        [(0, 0, "interface"), (0, 1, "efa-only"), (1, 0, "efa-only"), (2, 0, "efa-only")],
    ]


def test_its_default_layout_follows_from_its_cards() -> None:
    assert instances.default_efa_layout(instances.get("trn9.48xlarge")) == "efa"
    assert instances.default_efa_layout(instances.get("trn9.3xlarge")) == "none"


def test_a_fleet_of_it_is_valid(findings: Find, whole: Whole) -> None:
    found = findings(
        whole(
            dedent("""
                fleets:
                  f:
                    purpose: training
                    instance_types: [trn9.48xlarge]
                    size: {min: 0, max: 8}
                    zone: use1-az5
                    efa: {layout: efa-only}
                    capacity:
                      - {kind: capacity-block, reservation: cr-0123456789abcdef0}
                      - {kind: on-demand}
            """)
        )
    )

    assert found == ()


@pytest.mark.parametrize(
    ("fleet", "code", "says"),
    [
        ("instance_types: [trn9.48xlarge], zone: use1-az4", "NCDK-TYPE-005", "use1-az5"),
        ("instance_types: [trn9.48xlarge, trn2.48xlarge]", "NCDK-TYPE-007", "types with Trainium9"),
        ("instance_types: [trn9.3xlarge], efa: {layout: efa}", "NCDK-EFA-001", "trn9.48xlarge"),
        ("instance_types: [trn9.48xlarge, trn9.3xlarge]", "NCDK-EFA-001", "trn9.3xlarge has no EFA"),
        ("instance_types: [trn9.3xlarge], capacity: [{kind: spot}]", "NCDK-CAPACITY-002", "capacity-block, on-demand"),
        ("instance_types: [trn9.4xlarge]", "NCDK-TYPE-001", "did you mean trn9.48xlarge?"),
        ("instance_types: [g5.xlarge]", "NCDK-TYPE-006", "trn9"),
    ],
)
def test_what_it_cannot_do_is_refused(fleet: str, code: str, says: str, findings: Find, whole: Whole) -> None:
    content = whole(f"fleets: {{f: {{purpose: training, size: {{min: 0, max: 2}}, {fleet}}}}}")

    assert [str(finding) for finding in findings(content) if finding.code == code and says in str(finding)]


def test_editors_are_offered_it() -> None:
    types = json_schema()["$defs"]["Fleet"]["properties"]["instance_types"]

    assert "trn9.48xlarge" in types["items"]["examples"]
