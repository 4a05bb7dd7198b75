-- The audit chain: a hash for each event, and a head over all of them (docs/run/audit.md, decision 0051).
--   leaf of an event: sha256(salt || text), with a random salt for each event
--   head at position n: sha256(head before it || n as 8 bytes || leaf of n)
--   head at position 0: sha256('cellhouse chain 1' || id of the chain)
-- The text consists of all columns of `events`, one on each line, in the order of cellhouse_link_events. recorded_at is
-- in milliseconds since 1970. The text of jsonb is the same for equal values in all versions of PostgreSQL, and has no
-- raw line breaks. The text must never change: `src/events/chain/verifyChain.ts` makes the same text, and verifies links
-- of any age with it.

-- Adds the links of the events after p_after, up to p_to. Returns the head over them.
CREATE OR REPLACE FUNCTION cellhouse_link_events(p_after bigint, p_to bigint, p_head bytea) RETURNS bytea LANGUAGE plpgsql
-- A page is small, however large the tables are.
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_head bytea := p_head;
  v_link record;
BEGIN
  INSERT INTO event_links (position, leaf, salt, tenant, number)
  WITH page AS MATERIALIZED (
    SELECT e.position, uuid_send(gen_random_uuid()) AS salt,
      convert_to(e.position::text || E'\n' || e.event_id::text || E'\n' || e.stream_id || E'\n' || e.version::text || E'\n' ||
        e.type || E'\n' || e.schema_version::text || E'\n' || trunc(extract(epoch FROM e.recorded_at) * 1000)::text || E'\n' ||
        e.metadata::text || E'\n' || e.data::text, 'UTF8') AS text,
      -- The first event of a stream names its tenant. A worker's events belong to the tenant of its session from its
      -- WorkerAssigned on. Earlier ones belong to no tenant, whether they are sealed before or after WorkerAssigned.
      CASE WHEN e.stream_id ~ '^worker-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        THEN (SELECT s.tenant FROM sessions s WHERE s.worker_id = substr(e.stream_id, 8)::uuid
          AND e.version >= (SELECT a.version FROM events a WHERE a.stream_id = e.stream_id AND a.type = 'WorkerAssigned'))
        ELSE (SELECT f.data ->> 'tenant' FROM events f WHERE f.stream_id = e.stream_id AND f.version = 1)
      END AS tenant
    FROM events e WHERE e.position > p_after AND e.position <= p_to
  ), numbered AS (
    SELECT t.tenant, coalesce((SELECT max(l.number) FROM event_links l WHERE l.tenant = t.tenant), 0) AS number
    FROM (SELECT DISTINCT p.tenant FROM page p WHERE p.tenant IS NOT NULL) t
  )
  SELECT p.position, sha256(p.salt || p.text), p.salt, p.tenant,
    n.number + row_number() OVER (PARTITION BY p.tenant ORDER BY p.position)
  FROM page p LEFT JOIN numbered n ON n.tenant = p.tenant;

  FOR v_link IN
    SELECT l.position, l.leaf FROM event_links l WHERE l.position > p_after AND l.position <= p_to ORDER BY l.position
  LOOP
    v_head := sha256(v_head || int8send(v_link.position) || v_link.leaf);
  END LOOP;
  RETURN v_head;
END;
$$;

-- Seals at most p_limit events: adds their links and moves the head, in one transaction. Returns how many it sealed, so 0
-- when there are no more. A page also ends at 16 MiB of stored events, because an event may have 16 MiB of input, and the
-- transaction locks the rows of the head. If a page ends there, the function returns p_limit, because callers continue
-- until the result is lower. Any number of callers may run at the same time, and at the same time as any number of
-- commits: positions become visible in their order (cellhouse_commit.sql), so no event can appear below the head later.
--
-- The first call of a day (UTC) closes the former one: what was recorded before midnight is sealed, and the head over
-- it goes into chain_days. From then on, the position counts, so a clock that is set back moves no event into a closed
-- day. On the day on which the chain reaches the present for the first time, the day -infinity is closed instead.
CREATE OR REPLACE FUNCTION cellhouse_seal(p_gateway_id text, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  c_page_bytes CONSTANT bigint := 16 * 1024 * 1024;
  v_now timestamptz;
  v_today date;
  v_chain chain_head;
  v_to bigint;
  v_count integer;
  v_is_cut boolean;
  v_cut bigint;
BEGIN
  SELECT * INTO v_chain FROM chain_head FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO chain_head (chain_id, position, head)
    SELECT c.id, 0, sha256(convert_to('cellhouse chain 1' || c.id::text, 'UTF8')) FROM (SELECT gen_random_uuid() AS id) c
    ON CONFLICT DO NOTHING;
    SELECT * INTO v_chain FROM chain_head FOR UPDATE;
  END IF;
  v_now := date_trunc('milliseconds', clock_timestamp());
  v_today := (v_now AT TIME ZONE 'UTC')::date;
  -- The event that reaches the limit is the last one of the page. The size of a stored value is known without reading it.
  SELECT coalesce(max(p.position) FILTER (WHERE p.before < c_page_bytes), v_chain.position), count(*),
    coalesce(bool_or(p.before >= c_page_bytes), false)
  INTO v_to, v_count, v_is_cut
  FROM (
    SELECT s.position, sum(s.bytes) OVER (ORDER BY s.position) - s.bytes AS before
    FROM (
      SELECT e.position, pg_column_size(e.metadata) + pg_column_size(e.data) AS bytes
      FROM events e WHERE e.position > v_chain.position ORDER BY e.position LIMIT p_limit) s
  ) p;
  IF v_is_cut THEN
    v_count := p_limit;
  END IF;

  -- Where a day ends. NULL: not on this page.
  IF v_chain.open_day IS NULL THEN
    v_cut := CASE WHEN v_count < p_limit THEN v_to END;
  ELSIF v_chain.open_day < v_today THEN
    SELECT min(e.position) - 1 INTO v_cut FROM events e
    WHERE e.position > v_chain.position AND e.position <= v_to AND e.recorded_at >= v_today::timestamp AT TIME ZONE 'UTC';
    v_cut := coalesce(v_cut, CASE WHEN v_count < p_limit THEN v_to END);
  END IF;

  IF v_cut IS NOT NULL THEN
    v_chain.head := cellhouse_link_events(v_chain.position, v_cut, v_chain.head);
    -- Between two events there may be positions whose events were deleted before there was a chain.
    SELECT coalesce(max(l.position), 0) INTO v_chain.position FROM event_links l;
    INSERT INTO chain_days (day, position, head, closed_at, gateway_id)
    VALUES (coalesce(v_chain.open_day, '-infinity'), v_chain.position, v_chain.head, v_now, p_gateway_id)
    ON CONFLICT DO NOTHING;
    v_chain.open_day := v_today;
  END IF;
  IF v_count > 0 OR v_cut IS NOT NULL THEN
    v_chain.head := cellhouse_link_events(v_chain.position, v_to, v_chain.head);
    UPDATE chain_head SET position = v_to, head = v_chain.head, open_day = v_chain.open_day;
  END IF;
  RETURN v_count;
END;
$$;
