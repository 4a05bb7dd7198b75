"""Runs cells, each at most once, in the lanes of kernels. Also has what cells and commands share."""
