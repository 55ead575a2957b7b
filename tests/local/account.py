"""The account of the embedded AWS, and the role and the image that its tests make things with."""

from __future__ import annotations

ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/neuron"
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/neuron-cdk-cpu:onnxruntime-1.32.0"
