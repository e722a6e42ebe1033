-- Names that must be quoted, and tables of unusual shape.

-- Reserved words, for tables and for columns.
CREATE TABLE shop."user" ("select" integer PRIMARY KEY, "from" text, "table" text, "current_user" text);
INSERT INTO shop."user"
SELECT i, 'from ' || i, CASE WHEN i % 3 = 0 THEN NULL ELSE md5(i::text) END, 'user'
FROM generate_series(1, 50) AS i;

-- A column named like its table: `SELECT "twin" FROM "twin"` means the column, and a
-- whole-row reference silently becomes something else.
CREATE TABLE shop.twin (twin text PRIMARY KEY, shop text);
INSERT INTO shop.twin VALUES ('twin', 'shop'), ('shop', 'twin');

-- The same name in three schemas, and names that differ by case only: file names made from
-- table names collide, on some file systems only.
CREATE TABLE public.twin (id integer PRIMARY KEY);
CREATE TABLE "Sales Region".twin (id bigint PRIMARY KEY, note text);
CREATE TABLE "Sales Region"."Twin" (id bigint PRIMARY KEY);
CREATE TABLE "Sales Region"."TWIN" (id bigint PRIMARY KEY);
INSERT INTO public.twin VALUES (1);
INSERT INTO "Sales Region".twin VALUES (2, 'lower'), (3, NULL);
INSERT INTO "Sales Region"."Twin" VALUES (4);

-- Quotes, separators, path characters and shell characters.
CREATE TABLE "Sales Region"."we""ird.name; DROP TABLE x;--" (
    "a ""b"" c" integer, "d.e" text, "f'g" text, " leading" text, "%s\n" text, "$1" text, "1st" text,
    CONSTRAINT "check; ""it""" CHECK ("a ""b"" c" > 0));
INSERT INTO "Sales Region"."we""ird.name; DROP TABLE x;--"
SELECT i, 'e', 'g', ' ', '%', '$', '1' FROM generate_series(1, 20) AS i;
CREATE TABLE "Sales Region"."../../etc/passwd" (id integer);
CREATE INDEX "../index" ON "Sales Region"."../../etc/passwd" (id);
INSERT INTO "Sales Region"."../../etc/passwd" VALUES (1);

-- A line break in a name splits the lines of a table of contents in two.
CREATE TABLE "größe"."line
break" ("column
name" text);
INSERT INTO "größe"."line
break" VALUES (E'value\nwith a break');

-- Letters outside ASCII, and names of 63 bytes: the longest that fit, cut in the middle of
-- no character.
CREATE TABLE "größe"."таблица_🧾" ("имя" text, "größe" numeric, "e\u0301" text, U&"e\0301" text);
INSERT INTO "größe"."таблица_🧾" VALUES ('Żółć', 1.5, 'two spellings', 'of one letter');
CREATE TABLE shop.a234567890123456789012345678901234567890123456789012345678901é (
    b234567890123456789012345678901234567890123456789012345678901é serial PRIMARY KEY);
INSERT INTO shop.a234567890123456789012345678901234567890123456789012345678901é
SELECT FROM generate_series(1, 3);

-- No column at all, but rows: a column list of `()` is a syntax error, and the rows are
-- lost by tools that skip tables without columns.
CREATE TABLE shop.no_columns ();
INSERT INTO shop.no_columns SELECT FROM generate_series(1, 7);
-- Columns, but no row.
CREATE TABLE shop.empty (id integer PRIMARY KEY, body text NOT NULL);
-- Many columns: long lines in the catalogs and in every statement that names them.
DO $wide$
BEGIN
    EXECUTE 'CREATE TABLE shop.wide (' || (
        SELECT string_agg(format('c%s integer DEFAULT %s', i, i), ', ' ORDER BY i)
        FROM generate_series(1, 400) AS i) || ')';
END
$wide$;
INSERT INTO shop.wide (c1) SELECT -i FROM generate_series(1, 5) AS i;

-- Dropped columns leave holes in the attribute numbers: copies that go by position, or that
-- compare `attnum`, mix columns up. A column that was added later is stored in no old row.
CREATE TABLE shop.with_holes (
    gone_first text, id integer, gone text, body text, gone_too numeric DEFAULT 7, price numeric);
INSERT INTO shop.with_holes
SELECT 'x', i, 'y', 'body ' || i, i, i / 7.0 FROM generate_series(1, 200) AS i;
ALTER TABLE shop.with_holes
    DROP COLUMN gone_first, DROP COLUMN gone, DROP COLUMN gone_too,
    ADD COLUMN added_later text NOT NULL DEFAULT E'default with ''quotes'' and \\ backslash',
    ADD COLUMN doubled numeric GENERATED ALWAYS AS (price * 2) STORED;
ALTER TABLE shop.with_holes ALTER COLUMN added_later SET DEFAULT 'another default';
INSERT INTO shop.with_holes (id, body) VALUES (201, 'after the default changed');
-- Holes in the heap and rows that moved: the order of rows is that of the file, not of `id`.
UPDATE shop.with_holes SET price = -price WHERE id % 5 = 0;
DELETE FROM shop.with_holes WHERE id % 7 = 0;

-- Not crash-safe, so it is empty after a crash, on a standby and in a physical backup, but
-- it is part of a logical dump.
CREATE UNLOGGED TABLE shop.session_cache (key text PRIMARY KEY, value jsonb);
INSERT INTO shop.session_cache
SELECT md5(i::text), jsonb_build_object('i', i) FROM generate_series(1, 100) AS i;

-- The table keeps its bond to the type.
CREATE TYPE shop.measurement AS (sensor integer, taken date, reading numeric);
CREATE TABLE shop.measurements OF shop.measurement (
    PRIMARY KEY (sensor, taken), reading WITH OPTIONS DEFAULT -1);
INSERT INTO shop.measurements
SELECT i % 5, date '2024-01-01' + i, i * 1.25 FROM generate_series(1, 60) AS i;
CREATE TABLE shop.other_access_method (id integer PRIMARY KEY, body text)
    USING heap_by_another_name;
INSERT INTO shop.other_access_method VALUES (1, 'x');

-- Storage settings that change nothing one can select, and are easily lost.
CREATE TABLE shop.tuned (id integer PRIMARY KEY, body text, more text)
    WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = off);
ALTER TABLE shop.tuned
    ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN body SET STATISTICS 500,
    ALTER COLUMN more SET (n_distinct = -0.5), REPLICA IDENTITY FULL;
INSERT INTO shop.tuned SELECT i, md5(i::text), md5((-i)::text) FROM generate_series(1, 100) AS i;

COMMENT ON TABLE shop.no_columns IS 'rows without columns';
COMMENT ON COLUMN shop."user"."select" IS E'a comment with ''quotes'', "doubles", \\ and\na line break';
COMMENT ON COLUMN "größe"."таблица_🧾"."имя" IS '🧾';
