-- Deletes what belongs to an unfinished execution and is no projection, in the transaction that ends the execution. A
-- trigger does it, so that it happens whichever release of the gateway ends it. Plain code has none of it, and its end
-- calls nothing.
CREATE OR REPLACE FUNCTION cellhouse_execution_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM execution_variables v WHERE v.execution_id = NEW.id;
  DELETE FROM execution_inputs i WHERE i.execution_id = NEW.id;
  RETURN NULL;
END;
$$;
CREATE OR REPLACE TRIGGER cellhouse_execution_ends AFTER UPDATE ON executions FOR EACH ROW
  WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL AND NEW.options IS NOT NULL)
  EXECUTE FUNCTION cellhouse_execution_ends();
