"""The compile job on a recurrent model with a state, and its server: from sound to a probability of speech."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import speech


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, job_in: Callable[..., Any]) -> Any:
    """Compiled for one and four sounds, and for two lengths; the source's examples fit the longer one."""
    job = job_in(
        tmp_path_factory.mktemp("speech"),
        name="speech",
        task="voice-activity-detection",
        sequence_lengths=[288, speech.LENGTH],
    )
    (job.source / "model.onnx").write_bytes(speech.model().read_bytes())
    (job.source / "golden.json").write_text(speech.golden())
    assert job.run() == 0, job.printed
    return job


@pytest.fixture(scope="module")
def server(compiled: Any, serving: Callable[[Path], Any]) -> Iterator[Any]:
    running = serving(compiled.output)
    yield running
    running.stop()


def test_a_batch_is_found_on_whatever_axis_it_lies(compiled: Any) -> None:
    shapes = {entry["name"]: entry["shape"] for entry in (*compiled.manifest["inputs"], *compiled.manifest["outputs"])}
    assert shapes == {
        "input": ["batch", "sequence"],
        "state": [2, "batch", 128],
        "sr": [],
        "output": ["batch", 1],
        "stateN": [2, "batch", 128],
    }


def test_a_batch_of_two_is_not_taken_for_the_states_first_dimension(tmp_path: Path, job_in: Callable[..., Any]) -> None:
    job = job_in(tmp_path, batch_sizes=[2], sequence_lengths=[speech.LENGTH])
    (job.source / "model.onnx").write_bytes(speech.model().read_bytes())
    assert job.run() == 0, job.printed
    assert [entry["shape"] for entry in job.manifest["outputs"]] == [["batch", 1], [2, "batch", 128]]


def test_every_program_was_asked_and_answered_as_the_original(compiled: Any) -> None:
    verification = compiled.manifest["verification"]
    assert verification["ran"] == ["files", "loads", "golden"]
    assert verification["left"] == []
    assert verification["examples"] == 4  # two of the source, and for the length it has none for one row and four
    assert verification["max_error"] <= 1e-5


def test_the_artifact_brings_the_sources_examples_with_the_models_answers(compiled: Any) -> None:
    document = json.loads((compiled.output / "golden.json").read_text())
    answers = [
        example["outputs"]["output"][0][0]
        for example in document["examples"]
        if len(example["inputs"]["input"][0]) == speech.LENGTH
    ]
    assert any(answer > 0.5 for answer in answers), "a voice"
    assert any(answer < 0.1 for answer in answers), "silence"


def test_what_an_example_expects_must_be_what_the_model_answers(tmp_path: Path, job_in: Callable[..., Any]) -> None:
    job = job_in(tmp_path, sequence_lengths=[speech.LENGTH])
    (job.source / "model.onnx").write_bytes(speech.model().read_bytes())
    still = {"inputs": speech.request(speech.windows(speech.silence())[1]), "outputs": {"output": [[1.0]]}}
    (job.source / "golden.json").write_text(json.dumps([still]))
    assert job.run() == 1
    last = job.message.read_text().splitlines()[-1]
    assert last.startswith("error: the model itself answers otherwise than its golden.json: output 'output' is 0.0")
    assert "expected 1: off by" in last
    assert not (job.output / "manifest.json").exists()


@pytest.mark.parametrize("rows", [1, 3, 5])
def test_the_server_answers_as_the_original_does(server: Any, rows: int) -> None:
    sounds = [speech.windows(speech.voice())[1] * (1 - row / 10) for row in range(rows)]
    inputs = speech.request(*sounds)
    status, answer = server.post({"inputs": inputs})
    assert status == 200
    for name, expected in speech.original(inputs).items():
        np.testing.assert_allclose(answer["outputs"][name], expected, rtol=1e-4, atol=1e-6)


def test_a_voice_is_heard_and_silence_is_not(server: Any) -> None:
    """Window after window, the state given back each time."""
    heard = {}
    for name, sound in {"voice": speech.voice(), "silence": speech.silence()}.items():
        state, answers = None, []
        for window in speech.windows(sound):
            _, answer = server.post({"inputs": speech.request(window, state=state)})
            state = answer["outputs"]["stateN"]
            answers.append(answer["outputs"]["output"][0][0])
        heard[name] = sum(answers) / len(answers)
    assert heard["voice"] > 0.5 > 0.1 > heard["silence"]
