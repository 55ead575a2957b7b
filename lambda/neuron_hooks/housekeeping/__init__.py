"""Removes artifacts that nobody uses and uploads that belong to nobody; tells of what is stuck.

Lambda starts ``hook``, on a schedule and for people. What may go is decided in ``retirement`` and ``uploads``; which
endpoints compile at run time is seen by ``runtime_misses``.
"""
