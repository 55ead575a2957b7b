"""What one stack takes from another is there before it: references are weak, so nobody but the order ensures it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def references(value: Any) -> Iterator[tuple[str, str]]:
    """``(stack, output)`` of every reference to another stack."""
    if isinstance(value, dict):
        if set(value) == {"Fn::GetStackOutput"}:
            yield value["Fn::GetStackOutput"]["StackName"], value["Fn::GetStackOutput"]["OutputName"]
        else:
            for one in value.values():
                yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def before(assembly, stack: str) -> set[str]:
    """Every stack that is deployed before this one."""
    direct = {name for name in assembly.stacks[stack].get("dependencies", ()) if name in assembly.stacks}
    return direct.union(*(before(assembly, name) for name in direct))


def test_every_reference_names_an_output_that_exists(each_assembly):
    for name, template in each_assembly.templates.items():
        for stack, output in references(template):
            assert output in each_assembly.templates[stack]["Outputs"], f"{name} takes {output} of {stack}"


def test_a_stack_is_deployed_after_those_it_takes_from(each_assembly):
    for name, template in each_assembly.templates.items():
        taken_from = {stack for stack, _ in references(template)}
        assert taken_from <= before(each_assembly, name), name


def test_what_holds_state_takes_nothing_from_what_does_not(each_assembly):
    order = {"Artifacts": set(), "Network": {"Artifacts"}, "Pipeline": {"Artifacts", "Network"}}
    for name in each_assembly.templates:
        concern = name.partition("-")[2]
        if concern in order:
            assert {stack.partition("-")[2] for stack in before(each_assembly, name)} <= order[concern], name


def test_fleets_and_endpoints_take_nothing_from_one_another(each_assembly):
    apart = [name for name in each_assembly.templates if name.partition("-")[2].startswith(("Fleet", "Endpoint"))]
    for name in apart:
        assert not before(each_assembly, name).intersection(apart), name


def test_no_stack_exports(each_assembly):
    """An export that is used cannot change: one fleet would hold the network of all."""
    assert not [name for name, template in each_assembly.templates.items() if '"Export"' in json.dumps(template)]
