"""Engine ``vllm``, up to the server: the stand-in takes what Neuron documents (vllm-neuron, SDK 2.32.0) and no more.

https://awsdocs-neuron.readthedocs-hosted.com/en/v2.32.0/vllm-neuron/docs/: CPU compilation, compilation cache,
configuration options.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def llama(llama: Any) -> Any:
    """A job for a language model over four logical cores: two decode and two prefill buckets."""
    llama.request["model"] |= {
        "engine": "vllm",
        "target": "trn2",
        "sdk": "2.32.0",
        "batch_sizes": [1, 4],
        "sequence_lengths": [256, 1024],
        "tensor_parallel": 4,
    }
    (llama.source / "modeling.py").write_text("raise SystemExit('code of the folder')")
    return llama


def arguments(job: Any) -> str:
    """The server's arguments that decide what is compiled."""
    return " ".join(job.manifest["command"][5:-4])


class TestCommand:
    def test_the_documented_server_compiles_for_the_chip(self, llama: Any, stand_ins: str) -> None:
        assert llama.run(path=stand_ins) == 0, llama.printed
        assert llama.manifest["command"][:4] == ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model"]
        assert arguments(llama) == (
            "--dtype bfloat16 --tensor-parallel-size 4 --max-model-len 1024 --max-num-batched-tokens 1024 "
            "--max-num-seqs 4 --block-size 32 --no-async-scheduling --additional-config "
            '{"neuron_config": {"num_batched_tokens_buckets": [256, 1024], "num_seqs_buckets": [1, 4]}}'
        )

    def test_options_of_ones_own_are_added(self, llama: Any, stand_ins: str) -> None:
        llama.request["model"]["compiler_args"] = [
            "--block-size=128",
            '--additional-config={"neuron_config": {"on_device_sampling_config": {"all_greedy": true}}}',
        ]
        assert llama.run(path=stand_ins) == 0, llama.printed
        given = arguments(llama)
        assert "--max-num-seqs 4 --block-size=128 --additional-config" in given
        assert '"on_device_sampling_config": {"all_greedy": true}' in given

    def test_variables_of_the_image_change_nothing(self, llama: Any, stand_ins: str) -> None:
        given = {"VLLM_NEURON_CPU_MODE": "1", "NEURON_LIBTORCH_DISABLE_COMPILE_CACHE": "1"}
        assert llama.run(path=stand_ins, **given) == 0, llama.printed

    def test_a_server_that_ends_when_it_has_compiled_is_done_too(self, llama: Any, stand_ins: str) -> None:
        assert llama.run(path=stand_ins, ENDS="exit") == 0, llama.printed


class TestArtifact:
    def test_it_is_the_cache_the_model_and_the_arguments(self, llama: Any, stand_ins: str) -> None:
        assert llama.run(path=stand_ins) == 0, llama.printed
        paths = {entry["path"] for entry in llama.manifest["files"]}
        cached = {path for path in paths if path.startswith("cache/")}
        assert len([path for path in cached if path.endswith("/model.neff")]) == 4
        assert len(cached) == 8, cached  # and nothing of locks
        code = {"code/inference.py", "code/artifact_files.py", "code/settings.json"}
        model = {"model/config.json", "model/model.safetensors", "model/tokenizer.json"}
        assert paths - cached == {*code, *model, "compile.log"}

    def test_it_names_compiler_and_shapes(self, llama: Any, stand_ins: str) -> None:
        llama.run(path=stand_ins)
        assert llama.manifest["compiler"] == {"name": "vllm-neuron", "version": "0.24.0.1.1.0"}
        assert [(entry["batch_size"], entry["sequence_length"]) for entry in llama.manifest["programs"]] == [
            (1, 256),
            (1, 1024),
            (4, 256),
            (4, 1024),
        ]

    def test_nothing_of_the_work_is_left(self, llama: Any, stand_ins: str) -> None:
        llama.run(path=stand_ins)
        assert sorted(path.name for path in llama.output.parent.iterdir()) == ["input", "output"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"target": "inf2"}, "vLLM Neuron compiles for trn2, not for 'inf2'"),
            ({"task": "fill-mask"}, "vLLM serves models for text-generation, not for 'fill-mask'"),
            ({"dtype": "fp8"}, "dtype 'fp8' is not one of fp32, bf16, fp16"),
            ({"sequence_lengths": []}, "vllm takes sequence_lengths"),
            ({"compiler_args": ["--speculative-config={}"]}, "speculative decoding cannot be compiled on a CPU"),
            ({"compiler_args": ["--trust-remote-code"]}, "not --trust-remote-code"),
            ({"compiler_args": ["--additional-config=[]"]}, "takes a JSON object"),
            ({"compiler_args": ['--additional-config={"neuron_config": {}, "x": 1}']}, "may have neuron_config alone"),
            (
                {"compiler_args": ['--additional-config={"neuron_config": {"num_seqs_buckets": [9]}}']},
                "without num_batched_tokens_buckets and num_seqs_buckets",
            ),
        ],
    )
    def test_what_is_not_compiled_on_a_cpu(
        self, llama: Any, stand_ins: str, changed: dict[str, Any], message: str
    ) -> None:
        llama.request["model"] |= changed
        assert llama.run(path=stand_ins) == 1
        assert message in llama.message.read_text()

    def test_weights_that_can_run_code(self, llama: Any, stand_ins: str) -> None:
        (llama.source / "model.safetensors").rename(llama.source / "pytorch_model.bin")
        assert llama.run(path=stand_ins) == 1
        assert "needs its weights as safetensors" in llama.message.read_text()

    @pytest.mark.parametrize(
        ("ends", "message"),
        [
            ("fail", "error: python3 ended with status 1; what it said is above"),
            ("partial", "was not compiled whole"),
            ("empty", "error: the server compiled nothing: its cache is empty"),
        ],
    )
    def test_a_compile_that_fails(self, llama: Any, stand_ins: str, ends: str, message: str) -> None:
        assert llama.run(path=stand_ins, ENDS=ends) == 1
        assert message in llama.message.read_text().splitlines()[-1]

    def test_a_job_that_is_stopped_takes_the_server_with_it(self, llama: Any, stand_ins: str) -> None:
        process = llama.start(path=stand_ins, ENDS="hangs")
        line = next(line for line in process.stdout if line.startswith("server pid"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)
        assert process.returncode == 1
        with pytest.raises(ProcessLookupError):
            os.kill(int(line.split()[-1]), 0)


class TestServing:
    """The artifact's script, run as a fleet runs it."""

    @pytest.fixture
    def serve(self, llama: Any, stand_ins: str, tmp_path: Path) -> Iterator[Callable[[], tuple[Any, int]]]:
        started: list[subprocess.Popen[str]] = []

        def start() -> tuple[subprocess.Popen[str], int]:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            environment = {
                **os.environ,
                "PYTHONPATH": stand_ins,
                "SAGEMAKER_BIND_TO_PORT": str(port),
                "VLLM_CACHE_ROOT": str(tmp_path / "serving"),
                "NEURON_RT_NUM_CORES": "4",
            }
            script = [sys.executable, str(llama.output / "code" / "inference.py"), str(llama.output)]
            started.append(
                subprocess.Popen(script, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            )
            return started[-1], port

        assert llama.run(path=stand_ins) == 0, llama.printed
        yield start
        for process in started:
            process.kill()
            process.communicate()

    def test_the_server_has_every_graph_and_compiles_none(self, serve: Any) -> None:
        process, port = serve()
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=10) as answer:
                    assert answer.status == 200
                    return
            except urllib.error.URLError:
                time.sleep(0.05)
        pytest.fail(process.communicate()[0])

    def test_a_graph_that_is_not_there_ends_the_server(self, serve: Any, llama: Any) -> None:
        settings = llama.output / "code" / "settings.json"
        known = json.loads(settings.read_text())
        known["arguments"][known["arguments"].index("--dtype") + 1] = "float16"
        settings.write_text(json.dumps(known))
        manifest = llama.manifest
        manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != "code/settings.json"]
        (llama.output / "manifest.json").write_text(json.dumps(manifest))
        process, _ = serve()
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 1
        assert "RuntimeError: cache miss" in printed

    def test_a_corrupt_file_is_never_served(self, serve: Any, llama: Any) -> None:
        (llama.output / "model" / "model.safetensors").write_bytes(b"others")
        process, _ = serve()
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 1
        assert "corrupt: model/model.safetensors is not what the manifest lists" in printed
