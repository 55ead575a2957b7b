"""AWS CDK constructs for models on Inferentia and Trainium.

Names are loaded on first use: ``import neuron_cdk`` costs nothing, and the parts that need no CDK (``catalog``,
``spec``, ``local``) never load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .endpoint import NeuronEndpoint
    from .fleet import NeuronFleet
    from .model import ArtifactStore, CompiledModel, CompilePipeline
    from .network import NeuronNetwork

__version__ = "0.1.0"

__all__ = [
    "ArtifactStore",
    "CompilePipeline",
    "CompiledModel",
    "NeuronEndpoint",
    "NeuronFleet",
    "NeuronNetwork",
    "__version__",
]

_HOME = {
    "ArtifactStore": "model",
    "CompilePipeline": "model",
    "CompiledModel": "model",
    "NeuronEndpoint": "endpoint",
    "NeuronFleet": "fleet",
    "NeuronNetwork": "network",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
