"""A stand-in for vLLM's server with the Neuron plugin, SDK 2.32.0: compiles a graph for each bucket, then serves.

Arguments: vLLM's, as "Configuration options" and "How to develop and test vLLM Neuron in CPU mode" has them; of
"CPU Compilation" and "Compilation Cache". With VLLM_NEURON_DISABLE_WARMUP_COMPILE a miss is a RuntimeError. ENDS makes
a compile end otherwise: ``fail``, ``hangs``, ``exit`` (status 0, without serving), ``partial`` (a graph not whole) or
``empty``.
"""

import argparse
import hashlib
import http.server
import json
import os
import pathlib
import signal

parser = argparse.ArgumentParser("api_server", allow_abbrev=False)
parser.add_argument("--model", required=True, type=pathlib.Path)
parser.add_argument("--served-model-name")
parser.add_argument("--dtype", choices=["auto", "half", "float16", "bfloat16", "float", "float32"])
for name in ("tensor-parallel-size", "max-model-len", "max-num-batched-tokens", "max-num-seqs", "block-size", "port"):
    parser.add_argument(f"--{name}", type=int)
parser.add_argument("--kv-cache-dtype", choices=["auto", "fp8"])
parser.add_argument("--no-enable-prefix-caching", action="store_true")
parser.add_argument("--no-async-scheduling", action="store_true")
parser.add_argument("--additional-config", type=json.loads, default={})
parser.add_argument("--host")
given = parser.parse_args()

neuron = given.additional_config["neuron_config"]
# "Largest must equal max_num_batched_tokens" and "max_num_seqs".
assert max(neuron["num_batched_tokens_buckets"]) == given.max_num_batched_tokens
assert max(neuron["num_seqs_buckets"]) == given.max_num_seqs
assert given.no_async_scheduling or neuron.get("on_device_sampling_config"), "async scheduling needs on-device sampling"
assert list(given.model.glob("*.safetensors"))
assert os.environ["HF_HUB_OFFLINE"] == "1"
assert "VLLM_NEURON_CPU_MODE" not in os.environ, "cannot be enabled together"

compiles = os.environ.get("VLLM_NEURON_CPU_COMPILE") == "1"
strict = os.environ.get("VLLM_NEURON_DISABLE_WARMUP_COMPILE") == "1"
ends = os.environ.get("ENDS")
if compiles:
    assert os.environ["NEURON_PLATFORM_TARGET_OVERRIDE"] == "trn2", "required to specify the target platform"
    assert int(os.environ["NEURON_LIBTORCH_PARALLEL_COMPILE_WORKERS"]) >= 1
    assert pathlib.Path(os.environ["NEURON_LIBTORCH_REMOTE_CACHE"]).is_dir()
if strict:
    assert os.environ["NEURON_LIBTORCH_DISABLE_GRAPH_CAPTURE_BACKEND"] == "1"
    assert "NEURON_RT_NUM_CORES" not in os.environ
if ends == "hangs":
    print("server pid", os.getpid(), flush=True)
    signal.pause()
if ends == "fail":
    raise SystemExit("NCC_ITEN406: strided access")
local = pathlib.Path(os.environ["VLLM_CACHE_ROOT"]) / "neuron" / "compile_cache"
local.mkdir(parents=True, exist_ok=True)
buckets = [("prefill", each) for each in neuron["num_batched_tokens_buckets"]]
buckets += [("decode", each) for each in neuron["num_seqs_buckets"]]
for bucket in buckets if ends != "empty" else ():
    graph = (bucket, given.dtype, given.tensor_parallel_size, given.max_model_len, given.block_size, str(neuron))
    entry = local / hashlib.md5(str(graph).encode(), usedforsecurity=False).hexdigest()
    if entry.exists():
        continue
    if strict or not compiles:
        raise RuntimeError(f"cache miss: {bucket}")
    entry.mkdir()
    (entry / "model.neff").write_bytes(b"NEFF")
    if ends != "partial":
        (entry / "model.done").touch()
(local / "graph.lock").touch()
if ends == "exit":
    raise SystemExit(0)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/health", "/ping") else 404)
        self.end_headers()


print("Application startup complete.", flush=True)
http.server.HTTPServer((given.host, given.port), Handler).serve_forever()
