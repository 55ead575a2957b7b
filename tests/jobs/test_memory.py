"""What is printed of a compiler that was killed is recognised, and other failures are not taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuron_jobs import memory

FORMS = {
    "F137": "2023-12-26T08:37:54Z USER 26191 [neuronxcc.driver.CommandDriver]: [F137] neuronx-cc was forcibly killed - "
    "This most commonly occurs due to insufficient system memory.",
    "backend": "2023-12-26T08:37:54Z ERROR 26199 [job.WalrusDriver.0]: Backend exited with code -9 and stderr: ",
    "torch_neuronx": "RuntimeError: neuronx-cc failed with -9",
    "torch_neuronx, a shell between": "RuntimeError: neuronx-cc failed with 137",
    "torch_neuron": "INFO:Neuron:Compile command returned: -9",
    "subprocess": "subprocess.CalledProcessError: Command '['neuronx-cc']' died with <Signals.SIGKILL: 9>.",
    "subprocess, a shell": "subprocess.CalledProcessError: Command 'x' returned non-zero exit status 137.",
    "Python": "MemoryError",
    "NumPy": "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 931. GiB for an array",
    "fork": "OSError: [Errno 12] Cannot allocate memory",
    "ONNX Runtime": "error: model.onnx is no model that ONNX Runtime reads: onnxruntime/core/framework/bfc_arena.cc "
    "Failed to allocate memory for requested buffer of size 2830172160",
    "C++": "terminate called after throwing an instance of 'std::bad_alloc'",
    "tool": "error: optimum-cli was killed (signal 9), most likely for want of memory",
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "compile.log"


@pytest.mark.parametrize("line", FORMS.values(), ids=FORMS)
def test_want_of_memory_is_recognised_wherever_in_the_log_it_stands(log: Path, line: str) -> None:
    log.write_bytes(f"Using Neuron\n{line}\nTraceback of something that follows\n".encode() + b"\xff\xfe")
    assert memory.ran_out([log])


@pytest.mark.parametrize(
    "line",
    [
        "[F134] neuronx-cc terminated abnormally - Please open a support ticket",
        "RuntimeError: neuronx-cc failed with 70",
        "RuntimeError: neuronx-cc failed with -90",
        "INFO:Neuron:Compile command returned: -11",
        "subprocess.CalledProcessError: Command 'x' returned non-zero exit status 1.",
        "Failed to alloc DEVICE memory: 180355072",  # a Neuron device's, which no larger host has more of
        "error: neuronx-cc ended with status 1; what it said is above",
        "no MemoryError so far",
    ],
)
def test_another_failure_is_not_taken_for_it(log: Path, line: str) -> None:
    log.write_text(f"{line}\n")
    assert not memory.ran_out([log])


def test_a_log_that_is_not_there_says_nothing(log: Path) -> None:
    assert not memory.ran_out([log])
