"""Runs code, each piece at most once: cells in the lanes of kernels; what cells and commands share."""
