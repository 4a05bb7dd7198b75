CREATE OR REPLACE VIEW audit.environments AS SELECT
  e.id AS environment_id,
  e.name AS name,
  e.number AS number,
  e.state AS state,
  e.reason AS reason,
  e.spec AS spec,
  e.base_image_id AS base_image_id,
  e.hash AS hash,
  e.requested_at AS requested_at,
  e.finished_at AS finished_at,
  e.image_id AS image_id,
  e.bytes AS bytes,
  e.packages AS packages,
  e.failure AS failure,
  e.removed_at AS removed_at,
  e.remove_reason AS remove_reason,
  v.metadata -> 'actor' ->> 'token' AS actor_token,
  v.metadata -> 'actor' ->> 'role' AS actor_role,
  v.metadata -> 'actor' ->> 'tenant' AS actor_tenant,
  v.metadata -> 'actor' ->> 'door' AS actor_door
FROM environments e LEFT JOIN events v ON v.stream_id = 'environment-' || e.id AND v.version = 1;

COMMENT ON VIEW audit.environments IS 'One row for each version of an environment that was ever asked for: what is in it, who wanted it, and what became of it.';
COMMENT ON COLUMN audit.environments.environment_id IS 'The version. Its stream of events is environment-<id>.';
COMMENT ON COLUMN audit.environments.name IS 'The name of the environment, which all of its versions have.';
COMMENT ON COLUMN audit.environments.number IS 'The version among those of the name, from 1.';
COMMENT ON COLUMN audit.environments.state IS 'BUILDING, READY or FAILED, as it was before its removal.';
COMMENT ON COLUMN audit.environments.reason IS 'asked by an operator; base-changed: the worker image differs from that of the version before; image-lost: the engine no longer has the image of the version before.';
COMMENT ON COLUMN audit.environments.spec IS 'What was asked for: apt, pip, index, setup (the text of the script) and preload.';
COMMENT ON COLUMN audit.environments.base_image_id IS 'The worker image that it is built on.';
COMMENT ON COLUMN audit.environments.hash IS 'Over all that goes into the build, in hexadecimal.';
COMMENT ON COLUMN audit.environments.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN audit.environments.finished_at IS 'When its build succeeded or failed; NULL if it has not, or was removed before.';
COMMENT ON COLUMN audit.environments.image_id IS 'Its image; NULL until it is READY.';
COMMENT ON COLUMN audit.environments.bytes IS 'The size of its image, with the worker image; NULL until it is READY.';
COMMENT ON COLUMN audit.environments.packages IS 'What the build has installed: name, version and from (apt or pip) of each.';
COMMENT ON COLUMN audit.environments.failure IS 'Why its build failed; NULL if it did not.';
COMMENT ON COLUMN audit.environments.removed_at IS 'From when on it serves no new session; NULL if it is not removed.';
COMMENT ON COLUMN audit.environments.remove_reason IS 'removed by an operator, or superseded: a newer version serves, and no worker is left.';
COMMENT ON COLUMN audit.environments.actor_token IS 'The token of who asked for it: its id, auth-token, or cli for the command cellhouse. NULL: a gateway by itself.';
COMMENT ON COLUMN audit.environments.actor_role IS 'The role of that token.';
COMMENT ON COLUMN audit.environments.actor_tenant IS 'The tenant of that token.';
COMMENT ON COLUMN audit.environments.actor_door IS 'The wire by which the call came: graphql or cli.';
