"""A stand-in for the compile cache's API ("Compilation Cache", SDK 2.32.0)."""

import pathlib
import shutil


def save_cache(local_cache_dir, remote_cache_dir, hash_key):
    local, remote = pathlib.Path(local_cache_dir) / hash_key, pathlib.Path(remote_cache_dir) / hash_key
    if not (local / "model.done").exists():
        raise RuntimeError(f"{hash_key} is incomplete")
    if not remote.exists():
        shutil.copytree(local, remote)
