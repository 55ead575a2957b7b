"""Every code, by a file that earns it: on the right line, with the words that help.

The files are in ``cases/``: ``=== CODE: part of what is said``, then YAML in which ``#!`` ends the line that the
finding must name. Required sections that a case does not write are added behind it; ``$MODEL`` is a model called m.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import ValidationError

from neuron_cdk.spec import CODES, Endpoint, Finding, Fleet, Model, Severity, Surroundings, require_possible
from neuron_cdk.spec.codes import RETIRED

MODEL = "models: {m: {source: {s3: s3://bucket/m/}, task: t, compile: {engine: torch-neuronx, target: inf2}}}"


class Case(NamedTuple):
    """One block of a case file."""

    code: str
    says: str
    content: str
    line: int
    file: str


def cases() -> Iterator[Case]:
    for file in sorted((Path(__file__).parent / "cases").glob("*.txt")):
        for block in file.read_text().split("=== ")[1:]:
            head, _, content = block.partition("\n")
            code, _, says = head.partition(": ")
            marked = [number for number, line in enumerate(content.splitlines(), 1) if line.endswith("#!")]
            assert len(marked) == 1, f"{file.name}: mark one line of {head}"
            yield Case(code, says, content.replace("$MODEL", MODEL), marked[0], file.stem)


CASES = list(cases())
FLEETS = [case for case in CASES if case.file == "fleets"]
"""The table of malformed fleets."""
ENDPOINTS = [case for case in CASES if case.file == "endpoints"]
"""The table of malformed endpoints."""

# Doubles nine times over; nests deeper with every line.
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(8)
)
LADDER = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n" + "".join(f"a{n}: &a{n} [[[[[[[[*a{n - 1}]]]]]]]]\n" for n in range(1, 400))
MANY_VALUES = "tags: {" + "".join(f"k{n}: v, " for n in range(60_000)) + "}"
MANY_FINDINGS = "\n".join(f"field{n}: 1" for n in range(20_000))

FILES = {
    "ten megabytes": ("NCDK-FILE-002", b"#" * (10 * 1024 * 1024), "larger than 1 MiB", 0),
    "latin-1": ("NCDK-FILE-003", b"name: a\ntags: {a: \xff}\n", "not UTF-8", 2),
    "utf-16": ("NCDK-FILE-003", "name: sandbox\n".encode("utf-16"), "not UTF-8", 1),
    "a control character": ("NCDK-FILE-004", b"name: a\x00b\n", "not YAML", 0),
    "nothing": ("NCDK-FILE-005", b"", "empty", 0),
    "comments": ("NCDK-FILE-005", b"# nothing yet\n---\n", "empty", 0),
    "a list": ("NCDK-FILE-007", b"- name: sandbox\n", "a mapping of fields", 1),
    "a text": ("NCDK-FILE-007", b"just words\n", "a mapping of fields", 1),
    "a directive": ("NCDK-FILE-008", b"%YAML 1.2\n---\nname: a\n", "directives", 1),
    "many directives": ("NCDK-FILE-008", b"%TAG !a! tag:a\n" * 60_000, "directives", 1),
    "an alias bomb": ("NCDK-FILE-010", BOMB.encode(), "aliases", 1),
    "a ladder of aliases": ("NCDK-FILE-010", LADDER.encode(), "aliases", 1),
    "too many values": ("NCDK-FILE-010", MANY_VALUES.encode(), "more than 50,000 values", 1),
    "deep brackets": ("NCDK-FILE-011", b"[" * 500_000, "deeper than 32", 1),
    "deep dashes": ("NCDK-FILE-011", b"- " * 400_000, "deeper than 32", 1),
    "too many findings": ("NCDK-FILE-013", MANY_FINDINGS.encode(), "more findings are not shown", 0),
}

Find = Callable[[str | bytes], tuple[Finding, ...]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code} {case.says[:40]}")
def test_a_finding_names_its_line_and_says_what_helps(case: Case, findings: Find, whole: Callable[[str], str]) -> None:
    content = case.content if case.code.startswith("NCDK-FILE") else whole(case.content)

    found = [finding for finding in findings(content) if finding.code == case.code]

    assert [finding for finding in found if finding.line == case.line and case.says in str(finding)], found


@pytest.mark.parametrize("case", [*FLEETS, *ENDPOINTS], ids=lambda case: f"{case.code} {case.says[:40]}")
def test_a_malformed_part_is_refused_for_its_one_mistake(
    case: Case, findings: Find, whole: Callable[[str], str]
) -> None:
    errors = {finding.code for finding in findings(whole(case.content)) if finding.severity is Severity.ERROR}

    assert errors == ({case.code} if CODES[case.code].severity is Severity.ERROR else set())


@pytest.mark.parametrize(
    ("compiled", "code"),
    [
        ("task: fill-mask, compile: {engine: vllm, target: inf2}", "NCDK-COMPILE-005"),
        ("task: fill-mask, compile: {engine: optimum, target: cpu, tensor_parallel: 4}", "NCDK-COMPILE-004"),
        ("task: image-to-video, compile: {engine: optimum, target: inf2, dtype: fp8}", "NCDK-COMPILE-012"),
    ],
    ids=["not for the target", "not for the CPU", "not for the task"],
)
def test_an_engine_that_is_wrong_is_one_finding_whatever_it_would_take(
    compiled: str, code: str, findings: Find, whole: Callable[[str], str]
) -> None:
    found = findings(whole(f"models: {{m: {{source: {{s3: s3://bucket/m/}}, {compiled}}}}}"))

    assert [one.code for one in found if one.severity is Severity.ERROR] == [code]


@pytest.mark.parametrize("table", [FLEETS, ENDPOINTS], ids=["fleets", "endpoints"])
def test_forty_and_more_malformed_parts_are_each_told_something_else(table: list[Case]) -> None:
    refused = [(case.code, case.says) for case in table if CODES[case.code].severity is Severity.ERROR]

    assert len(set(refused)) == len(refused) >= 40


def fleet_of(case: Case) -> tuple[Fleet, Surroundings]:
    """The first fleet of a case, and what the file says about its surroundings."""
    content: dict[str, Any] = yaml.safe_load(case.content)
    fleet = Fleet.model_validate(content["fleets"]["f"])
    models = {name: Model.model_validate(each) for name, each in content.get("models", {}).items()}
    zones = content.get("network", {}).get("availability_zones", 2)
    environment = content.get("environment", {"account": "111122223333", "region": "us-east-1"})
    return fleet, Surroundings(
        region=environment["region"],
        account=environment["account"],
        zones=tuple(zones) if isinstance(zones, list) else ("use1-az4", "use1-az5")[:zones],
        model=models[str(fleet.model)].compile if fleet.model in models else None,
    )


def endpoint_of(case: Case) -> tuple[Endpoint, Surroundings]:
    """The first endpoint of a case, and what the file says about its surroundings."""
    content: dict[str, Any] = yaml.safe_load(case.content)
    endpoint = Endpoint.model_validate(content["endpoints"]["e"])
    models = {name: Model.model_validate(each) for name, each in content.get("models", {}).items()}
    environment = content.get("environment", {"account": "111122223333", "region": "us-east-1"})
    return endpoint, Surroundings(
        region=environment["region"],
        account=environment["account"],
        models={name: model.compile for name, model in models.items()},
        sizes_gb={name: model.size_gb for name, model in models.items()},
    )


def of_a_part(case: Case) -> bool:
    """Whether the case is about a part whose values are fine each: not about a value, its network or its model."""
    elsewhere = ("NCDK-NET", "NCDK-MODEL", "NCDK-COMPILE", "NCDK-EFA-004")
    try:
        part_of(case)
    except ValidationError:
        return False
    return CODES[case.code].severity is Severity.ERROR and not case.code.startswith(elsewhere)


def part_of(case: Case) -> tuple[Fleet | Endpoint, Surroundings]:
    return fleet_of(case) if case.file == "fleets" else endpoint_of(case)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.file in ("fleets", "endpoints", "inf1") and of_a_part(case)],
    ids=lambda case: f"{case.code} {case.says[:40]}",
)
def test_what_a_file_is_refused_for_is_a_value_error_in_code(case: Case) -> None:
    with pytest.raises(ValueError, match=case.code) as refusal:
        require_possible(*part_of(case))

    assert case.says in str(refusal.value)


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_cannot_be_used_ends_in_one_clear_finding(kind: str, findings: Find) -> None:
    code, content, says, line = FILES[kind]

    *_, last = findings(content)

    assert (last.code, last.line) == (code, line)
    assert says in last.message


def test_ten_thousand_wrong_names_do_not_take_long(findings: Find, whole: Callable[[str], str]) -> None:
    """Each is looked up in several rules, and reported with the nearest name there is."""
    fleets = (
        f"  f{n}: {{purpose: training, size: {{min: 0, max: 1}}, instance_types: [{names}]}}"
        for n in range(500)
        if (names := ", ".join(f"trn{n}.{m}xlarge" for m in range(20)))
    )
    content = whole("\n".join(["fleets:", *fleets]))
    start = process_time()

    found = findings(content)

    assert found[0].code == "NCDK-TYPE-001"
    assert process_time() - start < 5


def test_every_code_is_earned_by_some_file() -> None:
    earned = {case.code for case in CASES} | {code for code, *_ in FILES.values()}

    assert earned | {"NCDK-FILE-001"} == set(CODES)  # no file at all: test_loader.py


def test_the_numbers_of_an_area_have_no_gaps_but_retired_codes() -> None:
    ever = [*CODES, *RETIRED]
    areas = Counter(code.rpartition("-")[0] for code in ever)

    assert sorted(ever) == [f"{area}-{n:03}" for area, count in sorted(areas.items()) for n in range(1, count + 1)]


def test_a_retired_code_is_never_used_again() -> None:
    assert CODES.keys() & RETIRED.keys() == set()


def test_what_may_be_a_pasted_secret_is_not_shown(findings: Find, whole: Callable[[str], str]) -> None:
    case = next(one for one in CASES if one.code == "NCDK-SOURCE-007" and "hf_" in one.content)
    found = findings(whole(case.content))
    assert found
    assert "hf_" not in str([str(one) for one in found])


def test_a_fleet_of_the_release_pipeline_is_told_of_waits_once(findings: Find, whole: Callable[[str], str]) -> None:
    case = next(one for one in CASES if one.code == "NCDK-RELEASE-003" and "2880" in one.content)

    assert [one.code for one in findings(whole(case.content)) if one.line == case.line] == ["NCDK-RELEASE-003"]
