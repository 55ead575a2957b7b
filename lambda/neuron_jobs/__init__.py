"""What runs inside the compile and serving containers: the standard library and what the image already has.

Compile jobs start ``python3 -m neuron_jobs.compile`` from a zip that SageMaker downloads, in images whose Python may be
as old as 3.10, so nothing here uses what came later or opens files beside itself.
"""
