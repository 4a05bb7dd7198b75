"""Whom user code runs as, and what comes first when resources are short: the same however a kernel is started."""

# The image's user and group of this number (Dockerfile).
KERNEL_UID = 64002
# Under memory pressure the kernel goes first, never the agent.
KERNEL_OOM_SCORE = 1000
# However many processes user code runs, the agent gets the CPU first when it must act. It counts only inside the
# container.
KERNEL_NICENESS = 10
