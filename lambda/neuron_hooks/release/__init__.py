"""Brings an artifact to a target, an endpoint or a fleet, or the last good one back; one release at a time.

Lambda starts:

- ``start``: what asks for a release: CloudFormation, a new artifact, an execution that died;
- ``step``: every step of the release machine. What is to be done is in the target's ``record``, whether at all in
  ``wanted``, how in a module called like the kind of target (``kind.Kind``): ``endpoint`` or ``fleet``;
- ``fleet_version``: which version of a launch template a released fleet is to name (``Custom::NeuronFleetVersion``).

``endpoint_blueprint`` and ``fleet_blueprint`` are what a stack declares of its target.
"""
