-- Bodies beyond 2 kB were packed with pglz, at some 40 MB/s: two thirds of what PostgreSQL did for text, and half for pictures, which
-- do not shrink at all. lz4 is many times faster. A server that was built without it (the embedded one is) stores them as they are. What
-- is stored already stays as it is.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
    ALTER TABLE output_events ALTER COLUMN body SET COMPRESSION lz4;
    ALTER TABLE events ALTER COLUMN data SET COMPRESSION lz4;
  ELSE
    ALTER TABLE output_events ALTER COLUMN body SET STORAGE EXTERNAL;
  END IF;
END
$$;
