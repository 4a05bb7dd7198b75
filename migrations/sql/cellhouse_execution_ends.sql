-- Deletes the rows that belong to an unfinished execution outside the projections, in the transaction that ends the
-- execution. A trigger does it, so that it happens whichever release of the gateway ends the execution. Executions of
-- plain code have no such rows, so their ends do not call the function.
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
