"""What a job checks before it calls what it made an artifact, and what it leaves for those who serve it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuron_hooks.endpoint import golden as serving
from neuron_jobs import golden, verification
from neuron_jobs.checks import Checks, Tensors
from neuron_jobs.engines import Compiled, Program
from neuron_jobs.errors import JobError
from neuron_jobs.golden import Case, Tolerance

TOLERANCE = Tolerance(1e-5, 1e-3)
PROGRAMS = (Program("batch-1.bin", 1), Program("batch-4.bin", 4))
INPUTS = ({"name": "x", "dtype": "float32", "shape": ["batch", 3]},)
OUTPUTS = ({"name": "y", "dtype": "float32", "shape": ["batch", 2]},)


def double(values: Tensors) -> Tensors:
    """The model of these tests: twice the first two columns."""
    return {"y": values["x"][:, :2] * 2}


class Folders:
    """A job's source and output, with every program in it."""

    def __init__(self, root: Path) -> None:
        self.source, self.output = root / "source", root / "output"
        self.source.mkdir()
        self.output.mkdir()
        for program in PROGRAMS:
            (self.output / program.file).write_bytes(b"compiled")

    def give(self, document: Any) -> None:
        (self.source / "golden.json").write_text(json.dumps(document))

    def verify(self, answer: Callable[[Tensors], Tensors] | None, **changes: Any) -> dict[str, Any]:
        checks = Checks(double, (lambda _: answer) if answer else None, "no device here")
        what = {"programs": PROGRAMS, "inputs": INPUTS, "outputs": OUTPUTS, "checks": checks} | changes
        return verification.verify("onnxruntime", "fp32", Compiled("c", "1", (), **what), self.source, self.output)

    def golden(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.output / "golden.json").read_text())
        return document


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


class TestPrograms:
    def test_what_answers_as_the_model_is_verified(self, folders: Folders) -> None:
        report = folders.verify(double)
        assert report.pop("seconds") >= 0
        assert report == {
            "ran": ["files", "loads", "golden"],
            "left": [],
            "examples": 2,
            "max_error": 0.0,
            "tolerance": {"atol": 1e-05, "rtol": 0.0001},
            "reference": "original model on the host's CPU",
        }

    def test_the_largest_error_is_part_of_the_largest_value(self, folders: Folders) -> None:
        report = folders.verify(lambda values: {"y": double(values)["y"] * np.float32(1.00005)})
        assert report["max_error"] == pytest.approx(5e-5, rel=0.05)

    def test_what_answers_otherwise_fails_with_output_place_error_and_tolerance(self, folders: Folders) -> None:
        with pytest.raises(JobError, match=r"batch-1\.bin answers otherwise than the model .* output 'y' is .*, more "):
            folders.verify(lambda values: {"y": double(values)["y"] * 1.01})

    def test_every_program_is_asked(self, folders: Folders) -> None:
        def wrong_in_fours(values: Tensors) -> Tensors:
            return {"y": double(values)["y"] + (len(values["x"]) == 4)}

        with pytest.raises(JobError, match=r"batch-4\.bin answers"):
            folders.verify(wrong_in_fours)

    def test_fewer_rows_are_padded_with_the_last(self, folders: Folders) -> None:
        asked: list[Any] = []

        def keep(values: Tensors) -> Tensors:
            asked.append(values["x"])
            return double(values)

        folders.give([{"inputs": {"x": [[1, 2, 3], [4, 5, 6]]}}])
        folders.verify(keep)
        assert any(rows.tolist() == [[1, 2, 3], [4, 5, 6], [4, 5, 6], [4, 5, 6]] for rows in asked)

    @pytest.mark.parametrize("odd", [np.nan, np.inf])
    def test_what_is_not_finite_is_wrong(self, folders: Folders, odd: float) -> None:
        with pytest.raises(JobError, match=r"output 'y' is (nan|inf) at \[0, 0\], expected is"):
            folders.verify(lambda values: {"y": np.full_like(double(values)["y"], odd)})

    @pytest.mark.parametrize("left", [None, b""])
    def test_a_program_that_is_missing_or_empty_fails(self, folders: Folders, left: bytes | None) -> None:
        (folders.output / "batch-4.bin").unlink()
        if left is not None:
            (folders.output / "batch-4.bin").write_bytes(left)
        with pytest.raises(JobError, match=r"batch-4\.bin is missing or empty"):
            folders.verify(double)

    def test_a_program_that_does_not_load_fails(self, folders: Folders) -> None:
        def refuse(_: Path) -> Any:
            raise JobError("not one of ours")

        with pytest.raises(JobError, match="not one of ours"):
            folders.verify(None, checks=Checks(double, refuse))


class TestWhatCannotRunHere:
    def test_is_left_with_the_reason(self, folders: Folders) -> None:
        report = folders.verify(None)
        assert report["ran"] == ["files"]
        assert report["left"] == [
            "loads: no device here",
            "golden: no device here; whoever serves the artifact asks",
        ]
        assert "max_error" not in report

    def test_goes_with_the_models_own_answers(self, folders: Folders) -> None:
        folders.verify(None)
        for example in folders.golden()["examples"]:
            rows = np.array(example["inputs"]["x"], "float32")
            assert np.array(example["outputs"]["y"], "float32").tolist() == (rows[:, :2] * 2).tolist()

    def test_without_anything_to_ask_no_examples_are_written(self, folders: Folders) -> None:
        report = folders.verify(None, checks=None)
        assert report["ran"] == ["files"]
        assert [reason.partition(":")[0] for reason in report["left"]] == ["loads", "golden"]
        assert not (folders.output / "golden.json").exists()


class TestExamplesOfTheSource:
    def test_are_asked_instead_of_made_ones(self, folders: Folders) -> None:
        folders.give([{"inputs": {"x": [[1, 2, 3]]}}])
        report = folders.verify(double)
        assert (report["examples"], report["reference"]) == (1, "original model on the host's CPU")
        assert folders.golden()["examples"] == [{"inputs": {"x": [[1.0, 2.0, 3.0]]}, "outputs": {"y": [[2.0, 4.0]]}}]

    def test_their_answers_are_the_right_ones(self, folders: Folders) -> None:
        folders.give([{"inputs": {"x": [[1, 2, 3]]}, "outputs": {"y": [[2, 4.0001]]}}])
        assert folders.verify(double)["reference"] == "golden.json of the source"
        assert folders.golden()["examples"][0]["outputs"] == {"y": [[2.0, 4.0001]]}

    def test_a_model_that_does_not_give_them_fails_wherever_it_is_compiled(self, folders: Folders) -> None:
        folders.give([{"inputs": {"x": [[1, 2, 3]]}, "outputs": {"y": [[2, 5]]}}])
        with pytest.raises(
            JobError, match=r"the model itself answers otherwise than its golden\.json: output 'y' is 4 "
        ):
            folders.verify(None)

    def test_a_tolerance_of_their_own_counts(self, folders: Folders) -> None:
        example = {"inputs": {"x": [[1, 2, 3]]}, "outputs": {"y": [[2, 5]]}}
        folders.give({"tolerance": {"atol": 0, "rtol": 0.5}, "examples": [example]})
        assert folders.verify(double)["tolerance"] == {"atol": 0.0, "rtol": 0.5}
        assert folders.golden()["tolerance"] == {"atol": 0.0, "rtol": 0.5}

    def test_one_that_fits_no_program_is_left(self, folders: Folders) -> None:
        folders.give([{"inputs": {"x": [[1, 2, 3]] * 5}}])
        report = folders.verify(double)
        assert report["left"] == [
            "golden: example 0 (x [5, 3]) of the source's golden.json has the shape of no program; "
            "programs here: batch 1, batch 4"
        ]
        assert report["unfit"] == ["example 0 (x [5, 3])"]
        assert report["examples"] == 2  # made ones

    def test_thousands_that_fit_no_program_are_a_few_words(self, folders: Folders) -> None:
        folders.give([{"inputs": {"x": [[index, 2, 3]] * 5}} for index in range(2000)])
        report = folders.verify(double)
        assert "and 1996 more of the source's" in report["left"][0]
        assert len(json.dumps(report)) < 10_000

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"inputs": {}}, 'must be [{"inputs": {name: values}}, …]'),
            ([{"outputs": {}}], 'must be [{"inputs": {name: values}}, …]'),
            ([{"inputs": {"z": [1]}}], "an example with the inputs ['z']; the model takes ['x']"),
            ([{"inputs": {"x": [1]}}], "input 'x' takes float32 of shape ['batch', 3]; given int64 of shape [1]"),
            (
                [{"inputs": {"x": [[1, 2]]}}],
                "input 'x' takes float32 of shape ['batch', 3]; given int64 of shape [1, 2]",
            ),
            ([{"inputs": {"x": [["a", "b", "c"]]}}], "input 'x' takes float32 of shape ['batch', 3]; given <U1"),
            ([{"inputs": {"x": [[1, 2, 3]]}, "outputs": {"z": [1]}}], "expects output 'z'; the model gives ['y']"),
        ],
    )
    def test_what_is_none_is_refused(self, folders: Folders, document: Any, message: str) -> None:
        folders.give(document)
        with pytest.raises(JobError) as refused:
            folders.verify(double)
        assert message in str(refused.value)


class TestMadeExamples:
    def made(self, folders: Folders, original: Callable[[Tensors], Tensors], **shape: list[Any]) -> list[Tensors]:
        asked: list[Tensors] = []

        def keep(values: Tensors) -> Tensors:
            asked.append(values)
            return original(values)

        inputs = [{"name": name, "dtype": "int64", "shape": one} for name, one in shape.items()]
        folders.verify(None, inputs=tuple(inputs), checks=Checks(keep, why_not="no device"))
        return asked

    @staticmethod
    def embed(rows: int) -> Callable[[Tensors], Tensors]:
        """A model of one embedding with so many rows; as a framework it refuses what is not in it."""

        def model(values: Tensors) -> Tensors:
            if values["ids"].max() >= rows:
                raise IndexError("index out of range in self")
            return {"y": values["ids"][:, :2].astype("float32")}

        return model

    def test_are_the_same_every_time(self, folders: Folders) -> None:
        folders.verify(double)
        first = folders.golden()
        folders.verify(double)
        assert folders.golden() == first

    def test_integers_stay_within_an_embedding(self, folders: Folders) -> None:
        asked = self.made(folders, self.embed(2), ids=["batch", 64])
        assert set(np.unique(asked[-1]["ids"])) == {0, 1}

    def test_integers_are_many_where_the_model_takes_them(self, folders: Folders) -> None:
        asked = self.made(folders, self.embed(30_000), ids=["batch", 64])
        assert len(np.unique(asked[-1]["ids"])) > 20

    def test_masks_and_single_numbers_are_ones(self, folders: Folders) -> None:
        asked = self.made(folders, self.embed(2), ids=["batch", 4], attention_mask=["batch", 4], rate=[])
        assert asked[-1]["attention_mask"].all()
        assert asked[-1]["rate"] == 1

    def test_one_that_is_answered_differently_in_company_stays_out_of_the_artifact(self, folders: Folders) -> None:
        def moody(values: Tensors) -> Tensors:
            return {"y": values["x"][:, :2] * len(values["x"])}

        programs = PROGRAMS[1:]
        report = folders.verify(moody, programs=programs, checks=Checks(moody, lambda _: moody))
        assert report["ran"] == ["files", "loads", "golden"]
        assert "1 of 2 examples are not in it" in report["left"][0]
        assert [len(one["inputs"]["x"]) for one in folders.golden()["examples"]] == [4]


class TestDifference:
    def of(self, found: Any, expected: Any) -> str:
        return golden.difference(np.array(found), np.array(expected), TOLERANCE)[1]

    def test_near_zero_the_largest_value_counts(self) -> None:
        assert self.of([10.0, 0.009], [10.0, 0.0]) == ""
        assert self.of([10.0, 0.011], [10.0, 0.0]) == (
            "is 0.011 at [1], expected 0: off by 0.011, more than 0.01 (atol 1e-05, rtol 0.001 of the largest value)"
        )

    def test_integers_and_booleans_must_be_equal(self) -> None:
        assert self.of([[7, 100]], [[7, 101]]) == "is 100 at [0, 1], expected is exactly 101"
        assert self.of([True], [False]) == "is True at [0], expected is exactly False"

    def test_what_is_not_finite_is_right_where_the_reference_has_it(self) -> None:
        assert self.of([np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0]) == ""
        assert self.of([np.nan, 1.0], [np.nan, 2.0]).startswith("is 1 at [1], expected 2")
        assert self.of([1.0], [np.nan]) == "is 1.0 at [0], expected is nan"
        assert self.of([-np.inf], [np.inf]) == "is -inf at [0], expected is inf"

    def test_shapes_must_be_equal(self) -> None:
        assert self.of([[1.0]], [1.0]) == "has shape [1, 1], expected is [1]"


class TestGoldenFile:
    """What a job writes is what a hook reads."""

    def test_an_answer_is_right_for_both(self) -> None:
        case = Case({"x": np.ones((1, 3), "float32")}, {"y": np.array([[0.1, 2.0]], "float32"), "n": np.array([3])})
        content, left = golden.document([case], TOLERANCE)
        assert left == []
        (example,) = serving.examples(content)
        assert json.loads(serving.body(example)) == {"inputs": {"x": [[1.0, 1.0, 1.0]]}}
        assert serving.problem(b'{"outputs": {"y": [[0.101, 2.0]], "n": [3]}}', example) == ""
        assert "output 'y' is 0.2 at [0, 0]" in serving.problem(b'{"outputs": {"y": [[0.2, 2]], "n": [3]}}', example)

    def test_fractions_are_as_short_as_they_can_be(self) -> None:
        content, _ = golden.document([Case({"x": np.array([0.1], "float32")}, {"y": np.ones(1)})], TOLERANCE)
        assert b'{"x":[0.1]}' in content

    def test_a_large_output_is_a_sample_of_every_row_and_column(self) -> None:
        values = np.random.default_rng(1).random((1, 128, 384)).astype("float32")
        content, _ = golden.document([Case({"x": np.ones(1)}, {"y": values})], TOLERANCE)
        assert len(content) < 256 << 10
        (example,) = serving.examples(content)
        every = example.outputs["y"].every
        known = np.arange(0, values.size, every)
        assert len(set(known // 384)) == 128
        assert len(set(known % 384)) == 384
        assert serving.compare(values.tolist(), example.outputs["y"], 0, 1e-7) == ""
        values.reshape(-1)[every * 5] += 1
        assert "more than" in serving.compare(values.tolist(), example.outputs["y"], 0, 1e-7)

    def test_the_smallest_come_first_and_four_are_enough(self) -> None:
        cases = [Case({"x": np.ones((rows, 2))}, {"y": np.ones(rows)}) for rows in (9, 2, 7, 1, 5)]
        content, _ = golden.document(cases, TOLERANCE)
        assert [len(example.inputs["x"]) for example in serving.examples(content)] == [1, 2, 5, 7]

    def test_one_that_is_too_large_is_left_out(self) -> None:
        content, left = golden.document([Case({"x": np.full(300_000, 0.5)}, {"y": np.ones(1)})], TOLERANCE)
        assert content == b""
        assert left == ["golden.json: the smallest example has 1,200,040 bytes; 262,144 are taken"]

    def test_one_with_an_answer_that_json_does_not_know_is_left_out(self) -> None:
        content, left = golden.document([Case({"x": np.ones(1)}, {"y": np.array([np.nan])})], TOLERANCE)
        assert content == b""
        assert left == ["golden.json: an answer of the model has NaN or an infinity, which JSON does not know"]


def test_every_dtype_has_a_tolerance() -> None:
    tolerances = [golden.tolerance_of(dtype).rtol for dtype in ("fp32", "fp16", "bf16", "fp8")]
    assert tolerances == sorted(tolerances)
