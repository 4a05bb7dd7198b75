"""Runs cells, each at most once, in the lanes of kernels. Also has the parts that cells and commands share."""
