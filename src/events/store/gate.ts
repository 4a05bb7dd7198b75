/**
 * The advisory locks of `cellhouse_commit` (`migrations/sql/cellhouse_commit.sql`). Commits take the gate shared. A
 * rebuild, which compares rows with events, takes it exclusively.
 */
export const GATE_CLASS = 1_667_788_661;
export const GATE = 1;
/**
 * A rebuild holds it from its first look at an event to its end. Whatever changes recorded events takes it, too: the
 * rebuild would write back what it has read before.
 */
export const REBUILD = 4;
/**
 * Whoever removes events holds it for each page. Two of them would lock the same events in different orders, and come to
 * a deadlock.
 */
export const REMOVAL = 5;
