-- The row of an execution says whether it has input, so the events of executions without input are not looked up.
CREATE OR REPLACE VIEW audit.inputs AS SELECT
  x.id AS execution_id,
  x.tenant AS tenant,
  x.user_uuid AS user_uuid,
  x.session_id AS session_id,
  e.metadata ->> 'gatewayId' AS gateway_id,
  e.recorded_at AS sent_at,
  (e.data ->> 'offset')::bigint AS input_offset,
  (e.data ->> 'bytes')::bigint AS bytes,
  CASE jsonb_typeof(e.data -> 'text') WHEN 'object' THEN e.data -> 'text' ->> '$escaped' ELSE e.data ->> 'text' END AS text,
  e.data ->> 'base64' AS base64,
  (e.data ->> 'bytes')::bigint > 0 AND NOT e.data ?| ARRAY['text', 'base64'] AS is_secret,
  (e.data ->> 'close')::boolean AS is_end
FROM executions x JOIN events e ON e.stream_id = 'execution-' || x.id AND e.type = 'InputSent'
WHERE x.input_bytes > 0 OR x.input_closed;

COMMENT ON VIEW audit.inputs IS 'One row for each piece of input that was sent to an execution, until its events are archived.';
COMMENT ON COLUMN audit.inputs.execution_id IS 'The execution (audit.executions).';
COMMENT ON COLUMN audit.inputs.tenant IS 'The tenant of the user who ran it.';
COMMENT ON COLUMN audit.inputs.user_uuid IS 'The user who ran it, as the caller named them.';
COMMENT ON COLUMN audit.inputs.session_id IS 'The session it ran in (audit.sessions).';
COMMENT ON COLUMN audit.inputs.gateway_id IS 'The gateway that accepted the input.';
COMMENT ON COLUMN audit.inputs.sent_at IS 'When it was recorded.';
COMMENT ON COLUMN audit.inputs.input_offset IS 'How many bytes of input were before it.';
COMMENT ON COLUMN audit.inputs.bytes IS 'Its length in bytes.';
COMMENT ON COLUMN audit.inputs.text IS 'The input. Input with U+0000, which SQL text cannot hold, is given as a JSON string literal. NULL if it is not UTF-8, if it is secret, and if there is none.';
COMMENT ON COLUMN audit.inputs.base64 IS 'The bytes in base64, where they are not UTF-8; otherwise NULL.';
COMMENT ON COLUMN audit.inputs.is_secret IS 'Whether nobody has it: it answered a request for a password, or its user or tenant was forgotten.';
COMMENT ON COLUMN audit.inputs.is_end IS 'Whether the input ended with it.';
