"""What runs in Lambda: how models are compiled, endpoints kept, fleets sized, artifacts released and tidied away.

A package is what one thing of a deployment needs. Its docstring names the modules that Lambda starts, which all are
called as ``neuron_hooks.<package>.<module>.handler``:

- ``compile``: from a request to an artifact in the registry;
- ``endpoint``: what stands around the updates of a SageMaker endpoint;
- ``fleet``: the controller of a fleet of EC2 instances;
- ``release``: brings a new artifact to an endpoint or a fleet, and the last good one back;
- ``housekeeping``: removes what nobody uses.

What several of them need lies beside them: ``aws`` (clients), ``cloudformation`` (custom resources), ``log``,
``manifests``, ``model_events``, ``model_request``, ``registry`` and ``settings``.

Imports point one way. Shared modules import no package. ``compile``, ``endpoint`` and ``fleet`` import shared modules
and nothing of each other. ``release`` and ``housekeeping`` stand on those three, and nobody imports them. A module that
is called like a shared one, or like what it makes, is imported with its package's name before its own (``fleet_aws``).

Each handler module parses its event and logs one line per decision; what is decided lies in modules that know neither
AWS nor the clock; ``aws``, a package's own ``aws`` and modules called ``…_aws`` alone make calls. Beside boto3, which
the runtime has, only the standard library is used. Every handler may be called twice with the same event, and ends
where one call would have.
"""
