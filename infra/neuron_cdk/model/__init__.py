"""Models: the artifact store, the compile pipeline, and a compiled model as something a stack can depend on."""

from .compiled_model import CompiledModel
from .pipeline import CompilePipeline
from .store import ArtifactStore

__all__ = ["ArtifactStore", "CompilePipeline", "CompiledModel"]
