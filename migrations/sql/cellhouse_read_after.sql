-- Events after a position, in commit order: at most p_limit, ending with the one that brings them to p_max_bytes. The
-- first is always returned. A loop reads row by row, because the size of a row is known only after it was decompressed.
CREATE OR REPLACE FUNCTION cellhouse_read_after(p_position bigint, p_limit integer, p_max_bytes bigint)
RETURNS SETOF events LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_event events;
  v_bytes bigint := 0;
BEGIN
  FOR v_event IN SELECT * FROM events e WHERE e.position > p_position ORDER BY e.position LIMIT p_limit LOOP
    RETURN NEXT v_event;
    v_bytes := v_bytes + octet_length(v_event.data::text);
    EXIT WHEN v_bytes >= p_max_bytes;
  END LOOP;
END;
$$;
