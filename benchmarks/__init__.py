"""What is measured: ratios and times of one run on one machine. ``make bench``."""
