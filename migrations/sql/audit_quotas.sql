CREATE OR REPLACE VIEW audit.quotas AS SELECT
  q.tenant AS tenant,
  q.user_uuid AS user_uuid,
  q.kind AS kind,
  q.maximum AS maximum,
  q.set_at AS set_at,
  e.metadata -> 'actor' ->> 'token' AS actor_token,
  e.metadata -> 'actor' ->> 'role' AS actor_role,
  e.metadata -> 'actor' ->> 'tenant' AS actor_tenant,
  e.metadata -> 'actor' ->> 'door' AS actor_door
FROM quotas q LEFT JOIN events e ON e.stream_id = 'quota-' || q.id AND e.version = q.version
WHERE q.is_set;

COMMENT ON VIEW audit.quotas IS 'One row for each quota that an operator has set, as it is now. Limits by setting are not here, nor what was reset.';
COMMENT ON COLUMN audit.quotas.tenant IS 'The tenant.';
COMMENT ON COLUMN audit.quotas.user_uuid IS 'The user; NULL for all users of the tenant together.';
COMMENT ON COLUMN audit.quotas.kind IS 'What is limited, such as OPEN_SESSIONS.';
COMMENT ON COLUMN audit.quotas.maximum IS 'The limit; NULL for none, whatever the setting says.';
COMMENT ON COLUMN audit.quotas.set_at IS 'When it was set last.';
COMMENT ON COLUMN audit.quotas.actor_token IS 'The token of who set it: its id, auth-token, or cli for the command cellhouse.';
COMMENT ON COLUMN audit.quotas.actor_role IS 'The role of that token.';
COMMENT ON COLUMN audit.quotas.actor_tenant IS 'The tenant of that token.';
COMMENT ON COLUMN audit.quotas.actor_door IS 'The wire by which the call came.';
