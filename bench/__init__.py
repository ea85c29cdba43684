"""Figures that tests do not assert: times and ratios, each with its goal (`make bench`)."""
