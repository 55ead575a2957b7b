"""What an instance of a fleet runs: steps of its boot (``main``), its model server, its health, its end.

These files are not imported by the library: :mod:`neuron_cdk.fleet.user_data` puts those that a fleet needs into its
user data, and cloud-init writes them below ``/opt/neuron-cdk``. They use what the Neuron DLAMI has (bash, Python 3.9 or
newer, the AWS CLI, docker) and nothing else.
"""
