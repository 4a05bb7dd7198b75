/**
 * The advisory lock of `cellhouse_commit_3` (`migrations/sql/cellhouse_commit_3.sql`). Commits take it shared. A rebuild,
 * which compares rows with events, takes it exclusively.
 */
export const GATE_CLASS = 1_667_788_661;
export const GATE = 1;
