/** Advisory lock of `cellhouse_commit` (`migrations/sql/cellhouse_commit.sql`): commits share it; who compares rows with events takes it alone. */
export const GATE_CLASS = 1_667_788_661;
export const GATE = 1;
