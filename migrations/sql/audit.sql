-- Views for auditors: see docs/run/audit.md. Every column has a comment with its meaning (\d+ in psql).
CREATE SCHEMA IF NOT EXISTS audit;
COMMENT ON SCHEMA audit IS 'Who ran what, when, for how long, at what CPU cost, and how it ended. Read-only views; all times are UTC instants.';
