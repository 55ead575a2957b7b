"""Golden examples: what is sent, which answers are right, and how a wrong one is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuron_hooks.endpoint import golden


def file(outputs: dict[str, Any], *, atol: float = 1e-5, rtol: float = 1e-3, **more: Any) -> bytes:
    example = {"inputs": {"ids": [[1, 2]]}, "outputs": outputs, **more}
    return json.dumps({"tolerance": {"atol": atol, "rtol": rtol}, "examples": [example]}).encode()


def asked(outputs: dict[str, Any], answered: Any, **tolerance: float) -> str:
    (example,) = golden.examples(file(outputs, **tolerance))
    return golden.problem(json.dumps({"outputs": answered}).encode(), example)


def test_the_request_is_in_the_serving_format() -> None:
    (example,) = golden.examples(file({"y": [[1.0]]}))
    assert json.loads(golden.body(example)) == {"inputs": {"ids": [[1, 2]]}}


def test_no_file_is_no_example() -> None:
    assert golden.examples(None) == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"examples": []}', b'{"tolerance": {"atol": 0, "rtol": 0}, "examples": [{"inputs": {}}]}'],
)
def test_a_file_that_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(golden.GoldenError, match=r"golden\.json of the artifact cannot be read"):
        golden.examples(content)


def test_a_sample_that_does_not_fit_its_shape_is_refused() -> None:
    with pytest.raises(golden.GoldenError, match="not the values that its shape asks for"):
        golden.examples(file({}, samples={"y": {"shape": [2, 3], "every": 2, "values": [1.0, 2.0]}}))


def test_an_answer_within_the_tolerance_of_the_largest_value_is_right() -> None:
    assert asked({"y": [[10.0, 0.0]]}, {"y": [[10.009, 0.009]]}) == ""


def test_an_answer_outside_names_output_place_error_and_tolerance() -> None:
    assert asked({"y": [[10.0, 0.0]]}, {"y": [[10.0, 0.02]]}) == (
        "output 'y' is 0.02 at [0, 1], expected 0: off by 0.02, more than 0.01 (atol 1e-05, rtol 0.001 of the largest "
        "value)"
    )


def test_the_worst_value_is_named() -> None:
    assert "is 13 at [2]" in asked({"y": [10.0, 10.0, 10.0]}, {"y": [11.0, 12.0, 13.0]})


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_wrong(odd: float) -> None:
    assert asked({"y": [1.0]}, {"y": [odd]}) == f"output 'y' is {odd} at [0], expected 1.0"


def test_integers_must_be_equal() -> None:
    assert asked({"y": [100_000]}, {"y": [100_001]}) == "output 'y' is 100001 at [0], expected is exactly 100000"
    assert asked({"y": [True]}, {"y": [False]}) == "output 'y' is False at [0], expected is exactly True"


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        ({}, "the answer has no output 'y', only nothing"),
        ({"z": [1.0]}, "the answer has no output 'y', only 'z'"),
        ({"y": [[1.0]]}, "output 'y' has shape [1, 1], expected is [1]"),
        ({"y": [1.0, [2.0]]}, "output 'y' is ragged: its rows differ in length"),
        ({"y": ["one"]}, "output 'y' holds 'one', which is no number"),
        ({"y": [None]}, "output 'y' holds None, which is no number"),
        (None, """the answer is not {"outputs": {name: values}}: '{"outputs": null}'"""),
    ],
)
def test_an_answer_of_another_form_is_wrong(answered: Any, message: str) -> None:
    assert asked({"y": [1.0]}, answered) == message


def test_an_answer_that_is_not_json_is_shown() -> None:
    (example,) = golden.examples(file({"y": [1.0]}))
    assert golden.problem(b"<html>", example) == "the answer is not JSON: '<html>'"


def test_outputs_that_nothing_is_known_of_do_not_count() -> None:
    assert asked({"y": [1.0]}, {"y": [1.0], "more": ["?"]}) == ""


class TestSample:
    """Every second of six values is known."""

    (example,) = golden.examples(file({}, samples={"y": {"shape": [2, 3], "every": 2, "values": [0.0, 2.0, 4.0]}}))

    def answer(self, *values: float) -> str:
        rows = [list(values[:3]), list(values[3:])]
        return golden.problem(json.dumps({"outputs": {"y": rows}}).encode(), self.example)

    def test_it_is_compared(self) -> None:
        assert self.answer(0, 9, 2, 9, 4, 9) == ""

    def test_the_place_is_that_in_the_whole(self) -> None:
        assert "is 5 at [1, 1], expected 4" in self.answer(0, 1, 2, 3, 5, 5)

    def test_the_shape_is_that_of_the_whole(self) -> None:
        assert golden.problem(b'{"outputs": {"y": [0, 2, 4]}}', self.example) == (
            "output 'y' has shape [3], expected is [2, 3]"
        )
