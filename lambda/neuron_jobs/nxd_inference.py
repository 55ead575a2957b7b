"""What AWS's PyTorch Neuron serving container runs for an artifact of engine ``nxd-inference``: its
``code/inference.py``.

The container's toolkit (aws/sagemaker-pytorch-inference-toolkit) calls ``model_fn`` once in each worker, then
``input_fn``, ``predict_fn`` and ``output_fn`` for every request. In: ``{"inputs": "text" or [texts], "parameters":
{"max_new_tokens": n, "do_sample": …, "top_k": …, "top_p": …, "temperature": …}}``; out: ``{"outputs":
{"generated_text": [texts]}}``, without the prompts.

Source: Neuron's "NxD Inference API Reference" and "Features Configuration Guide", SDK 2.31.1: ``model =
NeuronLlamaForCausalLM(path); model.load(path)`` and ``HuggingFaceGenerationAdapter(model).generate(…)``. Nothing is
compiled here: the programs are in ``model.pt`` and the weights are sharded.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from artifact_files import settings  # type: ignore[import-not-found]

_CLASSES = {
    "llama": ("llama.modeling_llama", "NeuronLlamaForCausalLM"),
    "mixtral": ("mixtral.modeling_mixtral", "NeuronMixtralForCausalLM"),
    "dbrx": ("dbrx.modeling_dbrx", "NeuronDbrxForCausalLM"),
    "qwen2": ("qwen2.modeling_qwen2", "NeuronQwen2ForCausalLM"),
    "qwen3": ("qwen3.modeling_qwen3", "NeuronQwen3ForCausalLM"),
    "qwen3_moe": ("qwen3_moe.modeling_qwen3_moe", "NeuronQwen3MoeForCausalLM"),
}
_PARAMETERS = {"max_new_tokens": int, "do_sample": bool, "top_k": int, "top_p": float, "temperature": float}
_NEW_TOKENS = 128


class Model:
    """A loaded model, its tokenizer, and how many texts and tokens it was compiled for.

    :raises ValueError: when a file is not the one that was compiled.
    """

    def __init__(self, folder: Path) -> None:
        known = settings(folder)
        # The cores of one copy: a worker that took every core would leave none to the next.
        os.environ.setdefault("NEURON_RT_NUM_CORES", str(known["tensor_parallel"]))
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        from neuronx_distributed_inference.utils.hf_adapter import (  # type: ignore[import-not-found]
            HuggingFaceGenerationAdapter,
        )
        from transformers import AutoTokenizer, GenerationConfig  # type: ignore[import-not-found]

        module, name = _CLASSES[known["model_type"]]
        loaded = getattr(importlib.import_module(f"neuronx_distributed_inference.models.{module}"), name)(str(folder))
        loaded.load(str(folder))
        self.adapter = HuggingFaceGenerationAdapter(loaded)
        self.tokenizer = AutoTokenizer.from_pretrained(str(folder), padding_side="right", local_files_only=True)
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        with_defaults = (folder / "generation_config.json").is_file()
        self.generation = GenerationConfig.from_pretrained(str(folder)) if with_defaults else GenerationConfig()
        self.rows: int = known["batch_size"]
        self.length: int = known["sequence_length"]


def model_fn(model_dir: str) -> Model:
    """Load the artifact."""
    return Model(Path(model_dir))


def input_fn(body: str | bytes, content_type: str) -> dict[str, Any]:
    """The request, its texts as a list."""
    if content_type.partition(";")[0].strip() != "application/json":
        raise _refusal(415, f"Content-Type {content_type} is not understood; send application/json")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise _refusal(400, f"the body is not JSON: {error}") from None
    inputs = document.get("inputs") if isinstance(document, dict) else None
    texts = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _refusal(400, '"inputs" must be a text or a list of texts')
    return {"texts": texts, "parameters": _parameters(document.get("parameters") or {})}


def predict_fn(data: dict[str, Any], model: Model) -> list[str]:
    """What follows each text, a batch of the compiled size at a time."""
    answers: list[str] = []
    texts = data["texts"]
    for start in range(0, len(texts), model.rows):
        part = texts[start : start + model.rows]
        # The last text fills a batch up: a value that the model is sure to take.
        answers += _generate([*part, *[part[-1]] * (model.rows - len(part))], data["parameters"], model)[: len(part)]
    return answers


def output_fn(prediction: list[str], _accept: str) -> tuple[str, str]:
    """The answer and its type, JSON whatever is accepted: there is nothing else."""
    return json.dumps({"outputs": {"generated_text": prediction}}), "application/json"


def _generate(texts: list[str], parameters: dict[str, Any], model: Model) -> list[str]:
    tokens = model.tokenizer(texts, padding=True, return_tensors="pt")
    given = tokens.input_ids.shape[1]
    if given >= model.length:
        raise _refusal(400, f"{given} tokens leave no room for an answer: the model is compiled for {model.length}")
    options = dict(parameters)
    new = min(options.pop("max_new_tokens", _NEW_TOKENS), model.length - given)
    # Made for the first request's sampling and kept (inferred from the adapter's source): make it for this one.
    model.adapter.sampler = None
    with torch.no_grad():
        outputs = model.adapter.generate(
            tokens.input_ids,
            attention_mask=tokens.attention_mask,
            generation_config=model.generation,
            max_length=given + new,
            pad_token_id=model.tokenizer.pad_token_id,
            **options,
        )
    # Padding is on the right, so an answer begins where the longest prompt ends.
    answers: list[str] = model.tokenizer.batch_decode(outputs[:, given:], skip_special_tokens=True)
    return answers


def _parameters(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or not given.keys() <= _PARAMETERS.keys():
        raise _refusal(400, f'"parameters" may have {", ".join(_PARAMETERS)}')
    for name, value in given.items():
        kind = (int, float) if _PARAMETERS[name] is float else _PARAMETERS[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and _PARAMETERS[name] is not bool):
            raise _refusal(400, f"{name} must be of type {_PARAMETERS[name].__name__}")
    if given.get("max_new_tokens", 1) < 1:
        raise _refusal(400, "max_new_tokens must be 1 or more")
    return dict(given)


def _refusal(status: int, message: str) -> Exception:
    """The toolkit's own error: any other would reach the client as status 500."""
    from sagemaker_inference.errors import BaseInferenceToolkitError  # type: ignore[import-not-found]

    error: Exception = BaseInferenceToolkitError(status, message, message)
    return error
