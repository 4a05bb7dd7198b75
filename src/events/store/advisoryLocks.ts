/** The class of all advisory locks here: the first of their two numbers. */
export const LOCK_CLASS = 1_667_788_661;
/**
 * Commits take it shared (`migrations/sql/cellhouse_commit.sql`), and so do removals of events. A rebuild takes it
 * exclusively while it compares rows with events.
 */
export const COMMITS = 1;
/**
 * A rebuild holds it from its first read of an event to its end. Forgetting, which changes recorded events, takes it,
 * too. Otherwise, a rebuild could read an event before it is changed, and afterwards restore its old content to a row.
 */
export const REBUILD = 4;
/**
 * Events are removed page by page. The transaction of each page holds this lock. Without it, two removals could lock
 * the same events in different orders, which is a deadlock.
 */
export const REMOVAL = 5;
