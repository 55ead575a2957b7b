"""What AWS's Hugging Face serving container for Neuron runs for an artifact of engine ``optimum``: its
``code/inference.py``.

The container's toolkit (aws/sagemaker-huggingface-inference-toolkit) puts ``code`` on the path and calls ``model_fn``
in each worker in place of its own loading; requests and answers stay its own: ``{"inputs": …, "parameters": {…}}`` in,
what the pipeline of the task gives out. Its own loading would need HF_TASK, would take a language model for one that
is still to be compiled, and would start to compile it (its ``optimum_utils.py`` looks for ``model.neuron`` alone).

Source of the call: Hugging Face's "Inference pipelines with AWS Neuron", optimum-neuron 0.4.1. A model that was not
exported is refused by it: it never compiles here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from artifact_files import settings  # type: ignore[import-not-found]


def model_fn(model_dir: str, context: Any = None) -> Any:
    """The pipeline of the task. Every file is compared with the manifest first.

    :raises ValueError: when a file is not the one that was compiled.
    """
    del context  # some versions of the toolkit give it
    known = settings(Path(model_dir))
    # A worker that took every core would leave none to the next (Neuron Runtime configuration guide).
    os.environ.setdefault("NEURON_RT_NUM_CORES", str(known["tensor_parallel"]))
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from optimum.neuron.pipelines import pipeline  # type: ignore[import-not-found]

    return pipeline(known["task"], model=model_dir)
