"""`pip` in a worker: Debian's pip, which then says in a line what only a worker's user needs to know."""
