-- Functions, procedures, aggregates, triggers and rules.

-- Bodies that contain what quotes them, line ends of another system, and letters outside
-- ASCII. A body is text: changing one byte of it changes what a later dump shows.
CREATE FUNCTION shop.odd_body(a text DEFAULT 'it''s', VARIADIC rest text[] DEFAULT '{}')
    RETURNS text LANGUAGE plpgsql STABLE COST 42 AS $outer$
DECLARE
    quoted text := $$a 'quoted' $ body$$;
    tagged text := $_$another$_$; -- \. \N \\ -- not a comment'
BEGIN
    /* $function$ /* nested */ ; */
    RETURN quoted || tagged || a || array_to_string(rest, E'\n\\.\n') || 'żółć 🎉';
END
$outer$;
DO $create$
BEGIN
    EXECUTE E'CREATE FUNCTION shop.dos_line_ends() RETURNS integer LANGUAGE sql AS ''\r\n  SELECT 1\r\n\t-- done\r\n''';
END
$create$;
COMMENT ON FUNCTION shop.odd_body(text, text[]) IS $$it's $$;

-- Overloads, OUT parameters, sets, polymorphism, settings, SECURITY DEFINER.
CREATE FUNCTION shop.describe(integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''integer''';
CREATE FUNCTION shop.describe(bigint) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''bigint''';
CREATE FUNCTION shop.pair(INOUT a anyelement, OUT b anyarray) LANGUAGE sql IMMUTABLE AS 'SELECT a, ARRAY[a]';
CREATE FUNCTION shop.customers_of(wanted shop.mood)
    RETURNS TABLE (id bigint, "name of" text) LANGUAGE sql STABLE ROWS 7 PARALLEL RESTRICTED
    SET search_path = shop, "Sales Region", pg_temp
    SET work_mem = '5MB'
    AS 'SELECT id, name FROM customer WHERE mood = wanted ORDER BY id';
CREATE FUNCTION shop.secret_count() RETURNS bigint LANGUAGE sql SECURITY DEFINER
    SET search_path = '' AS 'SELECT count(*) FROM shop.customer';
ALTER FUNCTION shop.secret_count() OWNER TO shop_owner;
CREATE PROCEDURE shop.add_root_categories(count integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..count LOOP
        INSERT INTO shop.category (name) VALUES ('added ' || i);
        COMMIT;
    END LOOP;
END
$$;

CREATE FUNCTION shop.add_weighted(state numeric[], value numeric, weight numeric) RETURNS numeric[]
    LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[state[1] + value * weight, state[2] + weight]';
CREATE FUNCTION shop.finish_weighted(state numeric[]) RETURNS numeric
    LANGUAGE sql IMMUTABLE AS 'SELECT state[1] / nullif(state[2], 0)';
CREATE AGGREGATE shop.weighted_mean(value numeric, weight numeric) (
    SFUNC = shop.add_weighted, STYPE = numeric[], INITCOND = '{0,0}', FINALFUNC = shop.finish_weighted);
CREATE FUNCTION shop.keep_last(state anyelement, value anyelement) RETURNS anyelement
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT coalesce(value, state)';
CREATE AGGREGATE shop.last_of(anyelement) (SFUNC = shop.keep_last, STYPE = anyelement, PARALLEL = SAFE);
COMMENT ON AGGREGATE shop.last_of(anyelement) IS 'depends on the order of rows';

-- A circle of function and table: the check calls a function that takes a row of the table.
-- Neither can be created first in one piece.
CREATE TABLE shop.self_checked (low integer, high integer);
CREATE FUNCTION shop.is_sane(shop.self_checked) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS 'SELECT $1.low <= $1.high';
ALTER TABLE shop.self_checked ADD CONSTRAINT sane CHECK (shop.is_sane(self_checked));
ALTER TABLE shop.self_checked ALTER COLUMN low SET DEFAULT length(shop.describe(1));
INSERT INTO shop.self_checked SELECT i, i * 2 FROM generate_series(0, 20) AS i;
-- An index on a function with a name that only the function's own search path resolves. An
-- index on a function that relies on the caller's search path cannot be restored at all,
-- by any tool, which is why there is none here.
CREATE FUNCTION shop.slug(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE
    SET search_path = shop, pg_catalog AS $$ BEGIN RETURN dashed(lower(value)); END $$;
CREATE FUNCTION shop.dashed(value text) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT regexp_replace(value, '[^a-z0-9]+', '-', 'g') $$;
CREATE INDEX product_slug ON shop.product (shop.slug(title));

-- Triggers write to this table. Loading rows while they are active doubles its rows, and a
-- loader that forgets to enable them again leaves an application that logs nothing.
CREATE TABLE shop.audit (id bigserial PRIMARY KEY, source text NOT NULL, operation text NOT NULL, detail text);
CREATE FUNCTION shop.record_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO shop.audit (source, operation, detail)
    VALUES (TG_TABLE_NAME, TG_OP || ' ' || TG_WHEN || ' ' || TG_LEVEL, TG_ARGV[0]);
    RETURN coalesce(NEW, OLD);
END
$$;
CREATE FUNCTION shop.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are not written directly', TG_TABLE_NAME;
END
$$;
CREATE FUNCTION shop.count_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO shop.audit (source, operation, detail)
    SELECT TG_TABLE_NAME, 'changed', count(*)::text FROM changed;
    RETURN NULL;
END
$$;

CREATE TABLE shop.watched (id integer PRIMARY KEY, body text, amount integer);
INSERT INTO shop.watched SELECT i, md5(i::text), i FROM generate_series(1, 50) AS i;
CREATE TRIGGER "01 when" BEFORE UPDATE OF body, amount ON shop.watched FOR EACH ROW
    WHEN (OLD.body IS DISTINCT FROM NEW.body) EXECUTE FUNCTION shop.record_change(E'it''s\\ an\targument\n');
CREATE TRIGGER transition AFTER UPDATE ON shop.watched REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION shop.count_changed();
-- Disabled: a restore that brings it back enabled makes the table read-only.
CREATE TRIGGER refuse_everything BEFORE INSERT OR UPDATE OR DELETE ON shop.watched
    FOR EACH ROW EXECUTE FUNCTION shop.refuse();
ALTER TABLE shop.watched DISABLE TRIGGER refuse_everything;
-- `session_replication_role = replica` skips ordinary triggers, but not these two.
CREATE TRIGGER always BEFORE DELETE ON shop.watched FOR EACH ROW EXECUTE FUNCTION shop.record_change('always');
ALTER TABLE shop.watched ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER on_replica AFTER INSERT ON shop.watched FOR EACH ROW EXECUTE FUNCTION shop.record_change('replica');
ALTER TABLE shop.watched ENABLE REPLICA TRIGGER on_replica;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE ON shop.watched
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.record_change('deferred');
COMMENT ON TRIGGER always ON shop.watched IS 'fires on replicas too';
UPDATE shop.watched SET amount = amount + 1, body = body || '!' WHERE id <= 3;
DELETE FROM shop.watched WHERE id = 50;

-- A trigger of a partitioned table is cloned to its partitions; one of the clones is off.
CREATE TRIGGER line_changed AFTER UPDATE ON shop.order_line FOR EACH ROW EXECUTE FUNCTION shop.record_change('line');
ALTER TABLE shop.order_line_1 DISABLE TRIGGER line_changed;

-- Rules rewrite INSERT but not COPY: dumps as INSERT statements, and tools that copy by
-- INSERT, lose the rows of the first table and double those of the second.
CREATE TABLE shop.ruled (id integer PRIMARY KEY, body text);
INSERT INTO shop.ruled SELECT i, 'kept ' || i FROM generate_series(1, 15) AS i;
CREATE RULE swallow AS ON INSERT TO shop.ruled DO INSTEAD NOTHING;
CREATE RULE no_delete AS ON DELETE TO shop.ruled WHERE OLD.id < 10 DO INSTEAD NOTHING;
CREATE TABLE shop.ruled_too (id integer, body text);
INSERT INTO shop.ruled_too SELECT i, 'once ' || i FROM generate_series(1, 15) AS i;
CREATE RULE echo AS ON INSERT TO shop.ruled_too DO ALSO
    INSERT INTO shop.audit (source, operation, detail) VALUES ('ruled_too', 'rule', NEW.body);
ALTER TABLE shop.ruled_too ENABLE ALWAYS RULE echo;
