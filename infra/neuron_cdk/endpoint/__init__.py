"""SageMaker endpoints."""

from .endpoint import NeuronEndpoint

__all__ = ["NeuronEndpoint"]
