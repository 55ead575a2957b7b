#!/bin/bash
# The image, and then the units that serve. A start of what runs changes nothing.
set -euo pipefail

if ! docker image inspect "$IMAGE" > /dev/null 2>&1; then
  registry=${IMAGE%%/*}
  # The token is for twelve hours and for this pull only: in a folder that goes with the script.
  DOCKER_CONFIG=$(mktemp -d)
  export DOCKER_CONFIG
  trap 'rm -rf "$DOCKER_CONFIG"' EXIT
  for attempt in 1 2 3 4 5; do
    if [[ $registry =~ \.dkr\.ecr\.([a-z0-9-]+)\. ]]; then
      aws ecr get-login-password --region "${BASH_REMATCH[1]}" \
        | docker login --username AWS --password-stdin "$registry" > /dev/null || true
    fi
    docker pull --quiet "$IMAGE" && break
    ((attempt < 5)) || exit 1
    sleep $((attempt * 5))
  done
fi
systemctl start neuron-server.service neuron-health.service
echo "serve: $IMAGE"
