"""What an instance takes for a right answer is what the hooks do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuron_cdk.fleet.boot import ready
from neuron_hooks.endpoint import golden

EXAMPLE = {
    "inputs": {"x": [[1]]},
    "outputs": {"y": [[10.0, 0.0]], "n": [3]},
    "samples": {"z": {"shape": [2, 3], "every": 2, "values": [0.0, 2.0, 4.0]}},
}
RIGHT = {"y": [[10.0, 0.0]], "n": [3], "z": [[0, 9, 2], [9, 4, 9]]}


@pytest.mark.parametrize(
    ("changed", "right"),
    [
        ({}, True),
        ({"y": [[10.09, 0.09]]}, True),
        ({"y": [[10.0, 0.2]]}, False),
        ({"y": [[float("nan"), 0.0]]}, False),
        ({"y": [[float("inf"), 0.0]]}, False),
        ({"y": [[10.0]]}, False),
        ({"n": [4]}, False),
        ({"z": [[0, 9, 2], [9, 5, 9]]}, False),
        ({"z": [[0, 7, 2], [7, 4, 7]]}, True),
    ],
)
def test_an_answer_is_right_or_wrong_for_both(changed: dict[str, Any], right: bool) -> None:
    answer = json.dumps({"outputs": RIGHT | changed}).encode()
    tolerance = {"atol": 1e-5, "rtol": 0.01}
    (example,) = golden.examples(json.dumps({"tolerance": tolerance, "examples": [EXAMPLE]}).encode())
    assert (golden.problem(answer, example) == "") is right
    assert (ready.wrong(answer, EXAMPLE, **tolerance) == "") is right


def test_zeros_have_the_smallest_shape_and_the_inputs_types() -> None:
    inputs = [
        {"name": "ids", "dtype": "int64", "shape": ["batch", "sequence"]},
        {"name": "on", "dtype": "bool", "shape": ["batch", 2]},
        {"name": "rate", "dtype": "float32", "shape": []},
    ]
    programs = [{"batch_size": 4, "sequence_length": 3}, {"batch_size": 1, "sequence_length": 3}]
    (example,) = ready.zeros({"inputs": inputs, "programs": programs})
    assert example["inputs"] == {"ids": [[0, 0, 0]], "on": [[False, False]], "rate": 0}
    assert ready.wrong(b"", example) == "", "any answer will do"
