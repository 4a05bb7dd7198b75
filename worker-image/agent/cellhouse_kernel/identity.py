"""The user that user code runs as, and its priorities: the same however a kernel is started."""

# The image's user and group of this number (Dockerfile).
KERNEL_UID = 64002
# Its home: the image's /etc/passwd names it (Dockerfile), and the runtime mounts a file system there.
HOME = "/home/user"
# Under memory pressure the kernel is killed first, never the agent.
KERNEL_OOM_SCORE = 1000
# However many processes user code runs, the agent gets the CPU first when it must act. The niceness counts only
# inside the container.
KERNEL_NICENESS = 10
