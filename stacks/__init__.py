"""From a deployment file to an app: one stage, a stack for each concern, one for each fleet and each endpoint."""

from .app import build_app

__all__ = ["build_app"]
