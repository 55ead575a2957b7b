"""The image a compile job runs in, where SageMaker can pull it."""

from __future__ import annotations

from aws_cdk import Stack

from ..catalog.software import Software
from .image_mirror import PUBLIC, ImageMirror
from .store import ArtifactStore


def compile_image(stack: Stack, store: ArtifactStore, software: Software) -> tuple[str, str]:
    """The image's URI, and its digest or nothing where none is known.

    A public image is copied to a private repository of the account, once for all models of a stack that it compiles.
    Both are then known at deploy only; the digest is the original's, so that artifacts have the key they would have
    anywhere.
    """
    if not software.image.startswith(PUBLIC):
        return software.image, software.image_digest or ""
    construct_id = f"CompileImage-{software.image.rpartition(':')[2]}"
    mirror = stack.node.try_find_child(construct_id)
    if mirror is None:
        mirror = ImageMirror(stack, construct_id, store=store, image=software.image, digest=software.image_digest)
    assert isinstance(mirror, ImageMirror)
    return mirror.image, mirror.digest
