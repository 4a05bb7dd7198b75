-- Deletes the rows that belong to an open session outside the projections, in the transaction that closes it. A trigger
-- does it, so that it happens whichever release of the gateway closes the session.
CREATE OR REPLACE FUNCTION cellhouse_session_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM session_variables v WHERE v.session_id = NEW.id;
  DELETE FROM session_uses u WHERE u.session_id = NEW.id;
  RETURN NULL;
END;
$$;
CREATE OR REPLACE TRIGGER cellhouse_session_ends AFTER UPDATE ON sessions FOR EACH ROW
  WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION cellhouse_session_ends();
