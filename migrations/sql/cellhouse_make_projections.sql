-- Makes two functions from the current tables of the projections. cellhouse_commit writes the rows of projections with
-- them. src/events/migrations calls this whenever a table or an entity may have changed. p_entities is the list of
-- entities:
--   [{"kind": "execution", "table": "executions", "firstPosition": "requested_position"}, ...]
--
-- The functions have a static statement for each entity, which PostgreSQL plans once in each connection. Dynamic
-- statements would be planned again in each commit.
--
-- cellhouse_add_rows(kind, rows, position) adds rows. In the column for the first position, rows count from 1 after
-- `position`. A column that a row does not name gets its default: an older gateway does not name a column that was
-- added later.
--
-- cellhouse_change_rows(kind, rows) changes rows:
--   [{"id": ..., "expected_version": ..., "changes": {...}}, ...]
-- Columns that `changes` does not name are unchanged. It raises CH003 (DETAIL: the id) if a row is not at its expected
-- version.
CREATE OR REPLACE FUNCTION cellhouse_make_projections(p_entities json) RETURNS void LANGUAGE plpgsql AS $make$
DECLARE
  v_entity record;
  v_additions text := '';
  v_changes text := '';
BEGIN
  FOR v_entity IN
    SELECT e.kind, e."table",
      string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns,
      string_agg(CASE
        WHEN a.attname = e."firstPosition" THEN format('p_position + r.%I', a.attname)
        WHEN d.adbin IS NULL THEN format('r.%I', a.attname)
        ELSE format('coalesce(r.%I, %s)', a.attname, pg_get_expr(d.adbin, d.adrelid))
      END, ', ' ORDER BY a.attnum) AS added,
      string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname <> 'id') AS changing,
      string_agg(format('r.%I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname <> 'id') AS changed
    FROM json_to_recordset(p_entities) AS e (kind text, "table" text, "firstPosition" text)
      JOIN pg_attribute a ON a.attrelid = e."table"::regclass AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    GROUP BY e.kind, e."table"
  LOOP
    v_additions := v_additions || format($sql$
    WHEN %1$L THEN
      INSERT INTO %2$I (%3$s)
      SELECT %4$s
      FROM json_populate_recordset(NULL::%2$I, p_rows) r;$sql$,
      v_entity.kind, v_entity."table", v_entity.columns, v_entity.added);
    v_changes := v_changes || format($sql$
    WHEN %1$L THEN
      UPDATE %2$I t SET (%3$s) = (
        SELECT %4$s
        FROM json_populate_record(t, g.changes) r)
      FROM json_to_recordset(p_rows) AS g (id uuid, expected_version integer, changes json)
      WHERE t.id = g.id AND t.version = g.expected_version;
      GET DIAGNOSTICS v_count = ROW_COUNT;
      IF v_count < json_array_length(p_rows) THEN
        -- The rows that this transaction has changed are not the failed ones.
        SELECT g.id INTO v_failed FROM json_to_recordset(p_rows) AS g (id uuid)
        WHERE NOT EXISTS (SELECT FROM %2$I t WHERE t.id = g.id AND t.xmin = pg_current_xact_id()::xid) LIMIT 1;
      END IF;$sql$,
      v_entity.kind, v_entity."table", v_entity.changing, v_entity.changed);
  END LOOP;

  EXECUTE format($function$
CREATE OR REPLACE FUNCTION cellhouse_add_rows(p_kind text, p_rows json, p_position bigint) RETURNS void LANGUAGE plpgsql AS $body$
BEGIN
  CASE p_kind%s
  END CASE;
END;
$body$$function$, v_additions);
  EXECUTE format($function$
CREATE OR REPLACE FUNCTION cellhouse_change_rows(p_kind text, p_rows json) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
  v_count integer;
  v_failed uuid;
BEGIN
  CASE p_kind%s
  END CASE;
  IF v_failed IS NOT NULL THEN
    RAISE EXCEPTION 'row changed' USING ERRCODE = 'CH003', DETAIL = v_failed::text;
  END IF;
END;
$body$$function$, v_changes);
END;
$make$;
