CREATE OR REPLACE VIEW audit.tokens AS SELECT
  t.id AS token_id,
  t.name AS name,
  t.role AS role,
  t.tenant AS tenant,
  t.user_uuid AS user_uuid,
  t.user_prefix AS user_prefix,
  t.door AS door,
  t.created_at AS created_at,
  t.expires_at AS expires_at,
  t.former_until AS former_until,
  t.revoked_at AS revoked_at,
  t.revoke_reason AS revoke_reason,
  e.metadata -> 'actor' ->> 'token' AS actor_token,
  e.metadata -> 'actor' ->> 'role' AS actor_role,
  e.metadata -> 'actor' ->> 'tenant' AS actor_tenant,
  e.metadata -> 'actor' ->> 'door' AS actor_door,
  u.used_at AS last_used_at
FROM tokens t LEFT JOIN token_uses u ON u.token_id = t.id
  LEFT JOIN events e ON e.stream_id = 'token-' || t.id AND e.version = 1;

COMMENT ON VIEW audit.tokens IS 'One row for each token that was ever made: whom it lets in, for what, and until when. No secret, and no hash of one.';
COMMENT ON COLUMN audit.tokens.token_id IS 'The token. Its stream of events is token-<id>.';
COMMENT ON COLUMN audit.tokens.name IS 'What its maker called it.';
COMMENT ON COLUMN audit.tokens.role IS 'OPERATOR, TENANT, USER or AUDITOR.';
COMMENT ON COLUMN audit.tokens.tenant IS 'The tenant whose data its holder sees.';
COMMENT ON COLUMN audit.tokens.user_uuid IS 'The only user that it is for; NULL for several.';
COMMENT ON COLUMN audit.tokens.user_prefix IS 'It is for users whose names begin with this; NULL for one, or for all.';
COMMENT ON COLUMN audit.tokens.door IS 'The only wire that it works on; NULL for all.';
COMMENT ON COLUMN audit.tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN audit.tokens.expires_at IS 'From then on it lets nobody in; NULL if it does not end by itself.';
COMMENT ON COLUMN audit.tokens.former_until IS 'Until when the secret before the last rotation was valid; NULL if it was never rotated.';
COMMENT ON COLUMN audit.tokens.revoked_at IS 'When it was revoked; NULL if it was not.';
COMMENT ON COLUMN audit.tokens.revoke_reason IS 'revoked, or forgotten with its user or tenant; NULL if it was not revoked.';
COMMENT ON COLUMN audit.tokens.actor_token IS 'The token of who made it: its id, auth-token, or cli for the command cellhouse.';
COMMENT ON COLUMN audit.tokens.actor_role IS 'The role of that token.';
COMMENT ON COLUMN audit.tokens.actor_tenant IS 'The tenant of that token.';
COMMENT ON COLUMN audit.tokens.actor_door IS 'The wire by which the call came: graphql or cli.';
COMMENT ON COLUMN audit.tokens.last_used_at IS 'When its holder last called, to the minute; NULL if never.';
