"""Room and time for a model to arrive in: derived from its size.

AWS's advice ("SageMaker AI endpoint parameters for large model inference", in the SageMaker developer guide): a volume
slightly larger than the model from 30 GB on, where instances have no disk of their own; a longer download timeout from
40 GB on; a longer health check timeout where a container needs it. It gives no rates: 20 seconds a gigabyte is 50 MB/s,
slower than any instance that serves such models, for download as for loading it onto the chips. Hugging Face's
notebooks for a model of 70 billion parameters on Inferentia2 ask for 3600 s, and this rule comes to nearly as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from .endpoint import Hosting
from .hosts import instance

MOST_GB = 512
"""VolumeSizeInGB's limit."""
MOST_S = 3600
"""The limit of ModelDataDownloadTimeoutInSeconds and ContainerStartupHealthCheckTimeoutInSeconds."""

_LEAST_GB = 30
_LEAST_S = 600
_S_A_GB = 20
_ROOM = 1.2
"""Slightly larger than the model."""
_OTHER_GB = 10
"""What else lies on the volume: image, logs."""
_UNKNOWN_GB, _UNKNOWN_S = 64, 1800


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a variant, or a component, asks for. ``volume_gb`` is None where SageMaker takes no such wish."""

    volume_gb: int | None
    download_timeout_s: int
    startup_timeout_s: int


def hosting(sizes_gb: Iterable[float | None], instance_types: Sequence[str], override: Hosting | None = None) -> Hosted:
    """Room and time on instances by SageMaker's names, for models that share an instance.

    ``sizes_gb`` are their sizes on disk, None where one is not known: with that, nothing is known. Pools that serve
    different models ask for the largest alone.
    """
    sizes = list(sizes_gb)
    known = sum(size for size in sizes if size is not None) if sizes and None not in sizes else None
    volume = _UNKNOWN_GB if known is None else max(_LEAST_GB, ceil(known * _ROOM) + _OTHER_GB)
    time = _UNKNOWN_S if known is None else _LEAST_S + ceil(known * _S_A_GB)
    wish = override or Hosting()
    return Hosted(
        volume_gb=None if has_local_disk(instance_types) else wish.volume_gb or min(MOST_GB, volume),
        download_timeout_s=wish.download_timeout_s or min(MOST_S, time),
        startup_timeout_s=wish.startup_timeout_s or min(MOST_S, time),
    )


def has_local_disk(instance_types: Iterable[str]) -> bool:
    """Whether any of the types has NVMe of its own: SageMaker refuses VolumeSizeInGB for those, in a pool too."""
    return any(host is not None and host.local_disk_gb > 0 for host in map(instance, instance_types))
