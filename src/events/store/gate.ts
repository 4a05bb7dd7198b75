/**
 * The advisory lock of `cellhouse_commit_2` (`migrations/sql/cellhouse_commit_2.sql`). Commits take it shared. A rebuild,
 * which compares rows with events, takes it exclusively.
 */
export const GATE_CLASS = 1_667_788_661;
export const GATE = 1;
