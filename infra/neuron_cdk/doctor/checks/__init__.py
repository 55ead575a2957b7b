"""The checks: each takes a deployment and ``Aws``, yields problems, and may raise ``AskError``."""
