"""`pip` in a worker: Debian's pip, and a line after its output that explains what is special in a worker (run.py)."""
