-- Settings of the database, and event triggers. Both come last: event triggers must not see
-- the rest being made, here as in a restore.

-- Settings, comment and privileges of the database itself are restored only by
-- `pg_restore --create`, or when they are applied by hand; they are not in
-- `pg_dumpall --globals-only` either.
DO $database$
DECLARE
    name text := current_database();
BEGIN
    EXECUTE format('COMMENT ON DATABASE %I IS %L', name, E'the shop''s "database" \\.\nline two');
    EXECUTE format('ALTER DATABASE %I SET search_path = public, shop, "Sales Region"', name);
    -- Sessions see other text for the same values: what compares two databases as text must
    -- fix these in its own session.
    EXECUTE format('ALTER DATABASE %I SET timezone = %L', name, 'Asia/Kathmandu');
    EXECUTE format('ALTER DATABASE %I SET datestyle = %L', name, 'SQL, DMY');
    EXECUTE format('ALTER DATABASE %I SET intervalstyle = sql_standard', name);
    EXECUTE format('ALTER DATABASE %I SET bytea_output = escape', name);
    EXECUTE format('ALTER DATABASE %I SET extra_float_digits = 0', name);
    -- Dumps of large tables fail halfway where the client does not reset this.
    EXECUTE format('ALTER DATABASE %I SET statement_timeout = %L', name, '10min');
    EXECUTE format('ALTER DATABASE %I SET shop.motto = %L', name, E'it''s \\ "odd", isn''t it? ünï');
    EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 200', name);
    EXECUTE format('ALTER ROLE shop_app IN DATABASE %I SET work_mem = %L', name, '12MB');
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', name);
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO shop_app', name);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO shop_owner WITH GRANT OPTION', name);
END
$database$;

-- Fires for every table that is made, so it must come back after all of them: otherwise a
-- restore fills this log, and fails where it may not write.
CREATE TABLE shop.ddl_log (id bigint GENERATED ALWAYS AS IDENTITY, tag text, object text);
CREATE FUNCTION shop.log_ddl() RETURNS event_trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO shop.ddl_log (tag, object)
    SELECT c.command_tag, c.object_identity FROM pg_event_trigger_ddl_commands() AS c;
END
$$;
CREATE EVENT TRIGGER log_ddl ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION shop.log_ddl();
CREATE FUNCTION shop.forbid_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'dropping is forbidden';
END
$$;
-- Disabled, and it must stay so: enabled, it forbids every later migration.
CREATE EVENT TRIGGER "forbid; drop" ON sql_drop EXECUTE FUNCTION shop.forbid_drop();
ALTER EVENT TRIGGER "forbid; drop" DISABLE;
ALTER EVENT TRIGGER log_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER log_ddl IS 'logs CREATE TABLE';
CREATE TABLE shop.made_after_the_trigger (id integer);
