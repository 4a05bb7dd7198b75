-- One count of cellhouse_require_quotas, as JSON for its result. Raises CH008 if the group raises the count above
-- its limit. If the limit is null, there is no limit.
CREATE OR REPLACE FUNCTION cellhouse_quota_count(
  p_kind text, p_tenant text, p_user_uuid text,
  p_maximum bigint,
  -- Without the group that is checked, and with it.
  p_before bigint, p_count bigint,
  p_retry_after_ms integer, p_until timestamptz
) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
  IF p_count > p_maximum AND p_count > p_before THEN
    RAISE EXCEPTION 'quota exceeded' USING ERRCODE = 'CH008', DETAIL = json_build_object(
      'kind', p_kind, 'scope', CASE WHEN p_user_uuid IS NULL THEN 'TENANT' ELSE 'USER' END,
      'limit', p_maximum, 'used', p_before, 'retryAfterMs', p_retry_after_ms,
      'until', to_char(p_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text;
  END IF;
  RETURN json_build_object('kind', p_kind, 'tenant', p_tenant, 'userUuid', p_user_uuid, 'count', p_count);
END;
$$;
