"""The role and the image that tests of the embedded AWS make things with."""

from __future__ import annotations

ROLE = "arn:aws:iam::000000000000:role/neuron"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/neuron-cdk-cpu:onnxruntime-1.32.0"
