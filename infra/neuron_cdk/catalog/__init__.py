"""What is known about the hardware, the software and the prices, as data with typed look-ups.

Five modules, each with data files of its own under ``data/``, read on first use and kept:

- :mod:`~neuron_cdk.catalog.instances`: instance types, their chips, cards and EFA interfaces;
- :mod:`~neuron_cdk.catalog.regions`: partitions, zones, and what each offers;
- :mod:`~neuron_cdk.catalog.software`: which chip, engine, SDK, image and service work together;
- :mod:`~neuron_cdk.catalog.quotas`: which quotas an instance counts against;
- :mod:`~neuron_cdk.catalog.prices`: hourly prices that were read somewhere, with the day.

Every figure names a source, and :mod:`~neuron_cdk.catalog.provenance` lists the sources and, where they disagree,
which was taken and why. Nothing here imports the CDK or boto3, asks the network or reads the clock.
"""
