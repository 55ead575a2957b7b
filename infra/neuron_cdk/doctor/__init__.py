"""What AWS says against what a deployment file asks for, before anything is deployed.

The checks compare and import no boto3; one adapter (``boto``) asks.
"""

from .examination import Report, examine

__all__ = ["Report", "examine"]
