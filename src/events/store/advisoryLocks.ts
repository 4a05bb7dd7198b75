/** The class of all advisory locks here: the first of their two numbers. */
export const LOCK_CLASS = 1_667_788_661;
/**
 * Commits take it shared (`migrations/sql/cellhouse_commit.sql`). A rebuild, which compares rows with events, takes it
 * exclusively.
 */
export const COMMITS = 1;
/**
 * A rebuild holds it from its first read of an event to its end. Everything that changes recorded events takes it, too.
 * Otherwise the rebuild would write back rows from events that it has read before.
 */
export const REBUILD = 4;
/**
 * A removal of events holds it for each page. Without it, two removals could lock the same events in different orders,
 * which is a deadlock.
 */
export const REMOVAL = 5;
