-- What needs an extension, a build option or a newer server. Each part is there where the
-- server can have it, and absent otherwise.

SET client_min_messages = error;

DO $trigrams$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION pg_trgm SCHEMA extensions;
        COMMENT ON EXTENSION pg_trgm IS 'a comment of our own';
        CREATE INDEX product_title_trigrams ON shop.product USING gin (title extensions.gin_trgm_ops);
    END IF;
END
$trigrams$;
DO $crypto$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgcrypto') THEN
        CREATE EXTENSION pgcrypto SCHEMA extensions;
        -- The function belongs to the extension, its changed privileges belong to the database.
        REVOKE EXECUTE ON FUNCTION extensions.gen_random_bytes(integer) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION extensions.gen_random_bytes(integer) TO shop_app;
        CREATE TABLE shop.digest (
            body text,
            hash bytea GENERATED ALWAYS AS (extensions.digest(body, 'sha256')) STORED);
        INSERT INTO shop.digest (body) SELECT 'body ' || i FROM generate_series(1, 20) AS i;
    END IF;
END
$crypto$;
DO $hstore$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hstore') THEN
        CREATE EXTENSION hstore SCHEMA extensions;
        -- The type of the column lives in a schema that no search path holds.
        CREATE TABLE shop.labels (id integer PRIMARY KEY, labels extensions.hstore);
        INSERT INTO shop.labels VALUES
            (1, '"a b"=>"NULL", c=>NULL, "\"\\"=>"=>"'), (2, ''), (3, NULL);
        CREATE INDEX labels_gin ON shop.labels USING gin (labels);
    END IF;
END
$hstore$;
DO $gist$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'btree_gist') THEN
        CREATE EXTENSION btree_gist SCHEMA extensions;
        CREATE TABLE shop.room_plan (room integer, during daterange,
            CONSTRAINT one_at_a_time EXCLUDE USING gist (
                room extensions.gist_int4_ops WITH =, during WITH &&));
        INSERT INTO shop.room_plan
        SELECT i % 5, daterange(date '2024-01-01' + i, date '2024-01-01' + i + 5) FROM generate_series(1, 50) AS i;
    END IF;
END
$gist$;
-- The foreign table cannot be read, because nothing listens there: a tool that counts the
-- rows of every relation fails, and one that copies foreign tables as if they were tables
-- backs up somebody else's database.
DO $foreign$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'postgres_fdw') THEN
        CREATE EXTENSION postgres_fdw SCHEMA extensions;
        CREATE SERVER "other shop" FOREIGN DATA WRAPPER postgres_fdw
            OPTIONS (host '/nonexistent', dbname 'it''s "other"', connect_timeout '2');
        CREATE USER MAPPING FOR shop_app SERVER "other shop" OPTIONS ("user" 'o''reader');
        CREATE USER MAPPING FOR PUBLIC SERVER "other shop" OPTIONS ("user" 'nobody');
        CREATE FOREIGN TABLE shop.elsewhere (
            id integer OPTIONS (column_name 'Id') NOT NULL, body text, CHECK (id > 0))
            SERVER "other shop" OPTIONS (schema_name 'public', table_name 'else where');
        GRANT USAGE ON FOREIGN SERVER "other shop" TO shop_app;
        GRANT SELECT ON shop.elsewhere TO shop_reader;
    END IF;
END
$foreign$;
DO $icu$
BEGIN
    IF EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i' AND collname <> 'unicode') THEN
        CREATE TABLE shop.collated (
            name text COLLATE shop.ignore_case UNIQUE, version text COLLATE shop.numeric_order);
        INSERT INTO shop.collated VALUES ('É', 'v10'), ('e', 'v9'), ('ß', 'v1');
        CREATE INDEX collated_version ON shop.collated (version COLLATE shop.numeric_order DESC);
    END IF;
END
$icu$;

-- Statements that older servers cannot even parse stand in strings.
DO $versions$
DECLARE
    version integer := current_setting('server_version_num')::integer;
BEGIN
    IF version >= 140000 THEN
        -- A body that is parsed when it is created: it depends on what it names.
        EXECUTE 'CREATE FUNCTION shop.parsed_body(wanted bigint) RETURNS text STABLE
            BEGIN ATOMIC SELECT name FROM shop.customer WHERE id = wanted; END';
        EXECUTE 'CREATE STATISTICS shop.by_expression ON (lower(email)), (credit / 2) FROM shop.customer';
        EXECUTE 'ALTER TABLE shop.tuned ALTER COLUMN more SET COMPRESSION pglz';
    END IF;
    IF version >= 150000 THEN
        EXECUTE 'CREATE TABLE shop.one_null (id integer, UNIQUE NULLS NOT DISTINCT (id))';
        EXECUTE 'INSERT INTO shop.one_null VALUES (1), (NULL)';
        EXECUTE 'CREATE VIEW shop.as_caller WITH (security_invoker) AS SELECT count(*) FROM shop.tenant_note';
        EXECUTE 'CREATE UNLOGGED SEQUENCE shop.forgetful';
        EXECUTE 'CREATE TABLE shop.partly_null (id integer PRIMARY KEY, a bigint, b integer,
            FOREIGN KEY (a) REFERENCES shop.customer ON DELETE SET NULL (a))';
        -- Of the cluster, as the roles are.
        EXECUTE 'LOCK TABLE pg_catalog.pg_parameter_acl IN SHARE ROW EXCLUSIVE MODE';
        EXECUTE 'GRANT SET ON PARAMETER log_min_duration_statement TO shop_admin';
    END IF;
    IF version >= 170000 THEN
        EXECUTE 'GRANT MAINTAIN ON shop.customer TO shop_admin';
        EXECUTE 'CREATE TABLE shop.numbered (id bigint GENERATED ALWAYS AS IDENTITY, day date)
            PARTITION BY RANGE (day)';
        EXECUTE 'CREATE TABLE shop.numbered_1 PARTITION OF shop.numbered DEFAULT';
        EXECUTE 'INSERT INTO shop.numbered (day) SELECT date ''2024-01-01'' + i FROM generate_series(1, 20) AS i';
    END IF;
    IF version >= 180000 THEN
        EXECUTE 'CREATE TABLE shop.computed (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL,
            c integer CONSTRAINT "c; must be" NOT NULL, CHECK (a > c) NOT ENFORCED)';
        EXECUTE 'INSERT INTO shop.computed (a, c) SELECT i, i * 2 FROM generate_series(1, 20) AS i';
        EXECUTE 'ALTER TABLE shop.orphan ADD CONSTRAINT has_customer NOT NULL customer NOT VALID';
    END IF;
END
$versions$;

-- Publications. Creating one warns where `wal_level` is not `logical`; that is no error.
-- The one for all tables publishes inserts only, because an UPDATE of a table without a
-- replica identity would be refused.
CREATE PUBLICATION "all; inserts" FOR ALL TABLES WITH (publish = 'insert');
CREATE PUBLICATION some_tables FOR TABLE shop.customer, shop.booking, ONLY shop.asset;
CREATE PUBLICATION through_root FOR TABLE shop."order" WITH (publish_via_partition_root = true);
ALTER PUBLICATION some_tables OWNER TO shop_admin;
COMMENT ON PUBLICATION some_tables IS 'three';
DO $publications$
BEGIN
    IF current_setting('server_version_num')::integer >= 150000 THEN
        EXECUTE 'CREATE PUBLICATION filtered FOR TABLE shop.product (id, sku) WHERE (id > 10)
            WITH (publish = ''insert'')';
        EXECUTE 'CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA "größe" WITH (publish = ''insert'')';
    END IF;
END
$publications$;
RESET client_min_messages;
