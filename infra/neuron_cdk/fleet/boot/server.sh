#!/bin/bash
# The model server: the serving container as SageMaker runs it ("serve", the artifact read-only in /opt/ml/model, GET
# /ping and POST /invocations on one port), or with the command that COMMAND names.
#
# One container, with a worker process for each group of NeuronCores: the container's own front spreads the requests
# over its workers, where a container for each group would need a load balancer of ours before them. A worker asks the
# Neuron runtime for NEURON_RT_NUM_CORES free cores and gets others than its neighbours (Neuron Runtime configuration).
#
# The host's network, so that the connections of clients are seen on the host (see server.py), with no proxy in between.
# What it prints goes to the journal, through the attached client, and not to a file of docker's as well.
#
# No compile and no download at the start: the cache is in the artifact, which nobody can write to; the new Neuron
# backend and vLLM are told to fail instead; Hugging Face is told that there is no network; no metadata, so no
# credentials.
set -euo pipefail

copies=$(python3 -m boot.neuron copies)
read -r -a command <<< "${COMMAND:-serve}"
devices=()
for node in /dev/neuron[0-9]*; do
  devices+=(--device "$node")
done
docker rm --force neuron-server > /dev/null 2>&1 || true
exec docker run --rm --name neuron-server --network host --log-driver none --cap-add IPC_LOCK --ulimit memlock=-1:-1 \
  --volume /opt/neuron-cdk/artifact:/opt/ml/model:ro "${devices[@]}" \
  --env SAGEMAKER_BIND_TO_PORT="$PORT" \
  --env SAGEMAKER_PROGRAM=inference.py \
  --env SAGEMAKER_MODEL_SERVER_WORKERS="$copies" \
  --env NEURON_RT_NUM_CORES="$CORES_PER_COPY" \
  --env NEURON_PROCESS_TAG="$MODEL" \
  --env NEURON_COMPILE_CACHE_URL=/opt/ml/model/neuron-compile-cache \
  --env NEURON_LIBTORCH_DISABLE_GRAPH_CAPTURE_BACKEND=1 \
  --env VLLM_NEURON_DISABLE_WARMUP_COMPILE=1 \
  --env HF_HUB_OFFLINE=1 \
  --env TRANSFORMERS_OFFLINE=1 \
  --env AWS_EC2_METADATA_DISABLED=true \
  "$IMAGE" "${command[@]}"
