-- A commit changes rows that it names by their ids. In a table that was small when the statements were planned (a new installation,
-- until the first ANALYZE) the planner reads all of it for that, and goes on so while it grows: 0.9 ms became 3.4 by 14,600 executions.
ALTER FUNCTION cellhouse_commit SET enable_seqscan = off;
