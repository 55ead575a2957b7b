"""What stands before and behind an update of a SageMaker endpoint, and keeps its scaling.

Lambda starts ``hook``: before an update it makes way (``change``), behind it it compares (``verification``), asks
(``tests``, ``smoke``, ``golden_tests``), registers scaling (``scaling``, ``registration``) and remembers (``record``).

``declaration`` is what is wanted, ``seen`` what AWS says, ``golden`` what a right answer is.
"""
