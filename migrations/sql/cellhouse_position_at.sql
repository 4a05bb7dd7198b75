-- The position of the first event that was recorded at p_at or later: p_last + 1 if there is none. Times grow with
-- positions, so it looks back in steps that double, and then halves the distance. That is a few dozen lookups by the
-- primary key, however many events there are. Pruned events leave holes. At a position in a hole, the next event is read
-- instead.
CREATE OR REPLACE FUNCTION cellhouse_position_at(p_at timestamptz, p_last bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_step bigint := 1;
  -- Every event at v_low or below was recorded before p_at. Every event at v_high or above was recorded at p_at or later.
  v_low bigint := p_last;
  v_high bigint := p_last + 1;
  v_middle bigint;
BEGIN
  WHILE v_low > 0 AND (SELECT e.recorded_at FROM events e WHERE e.position >= v_low ORDER BY e.position LIMIT 1) >= p_at LOOP
    v_high := v_low;
    v_low := greatest(v_low - v_step, 0);
    v_step := v_step * 2;
  END LOOP;
  WHILE v_high - v_low > 1 LOOP
    v_middle := (v_low + v_high) / 2;
    IF (SELECT e.recorded_at FROM events e WHERE e.position >= v_middle ORDER BY e.position LIMIT 1) >= p_at THEN
      v_high := v_middle;
    ELSE
      v_low := v_middle;
    END IF;
  END LOOP;
  RETURN v_high;
END;
$$;
