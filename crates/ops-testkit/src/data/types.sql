-- Schemas, types, collations and text search: what tables are made of.

CREATE SCHEMA shop AUTHORIZATION shop_owner;
COMMENT ON SCHEMA shop IS E'It''s the "shop"; 100 % \\ backslash\nand a second line';
-- A space, capitals and letters outside ASCII: tools that paste names into SQL or into
-- file names without quoting lose these schemas.
CREATE SCHEMA "Sales Region";
CREATE SCHEMA "größe";
-- Extensions outside `public`: an index that names `gin_trgm_ops` restores only when the
-- operator class is qualified, because dumps are restored with an empty search path.
CREATE SCHEMA extensions;
-- A schema with nothing in it is lost by tools that list tables only.
CREATE SCHEMA nothing_here;

-- A label that was added between two others has a fractional sort order. A tool that
-- recreates labels by OID or by creation order changes what ORDER BY and `<` mean.
CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE shop.mood ADD VALUE 'so-so' BEFORE 'ok';
ALTER TYPE shop.mood ADD VALUE 'it''s "great" 🎉' AFTER 'happy';
ALTER TYPE shop.mood OWNER TO shop_owner;
COMMENT ON TYPE shop.mood IS 'ordered by hand, not by creation';

CREATE TYPE shop.region AS ENUM ('eu', 'us', 'apac', 'other');

-- Checks of a domain are enforced while rows are loaded. `legacy_code` gets a check that
-- is NOT VALID once it has a row that breaks it; it must come back after the rows.
CREATE DOMAIN shop.sku AS text COLLATE "C"
    CONSTRAINT sku_shape CHECK (VALUE ~ '^[A-Z]{2}-[0-9]{4}$');
CREATE DOMAIN shop.amount AS numeric(18, 4) DEFAULT 0 NOT NULL CHECK (VALUE > -1e12);
CREATE DOMAIN shop.matrix AS integer[] CHECK (array_ndims(VALUE) = 2 OR VALUE = '{}');
CREATE DOMAIN shop.legacy_code AS text;

-- An attribute was dropped: positions in `pg_attribute` have a hole.
CREATE TYPE shop.address AS (street text, unused integer, city text, "post code" varchar(12));
ALTER TYPE shop.address DROP ATTRIBUTE unused;
CREATE TYPE shop.parcel AS (label text, destinations shop.address[], weight shop.amount);
-- A domain over a composite type.
CREATE DOMAIN shop.home_address AS shop.address CHECK (VALUE IS NULL OR (VALUE).city IS NOT NULL);
-- A shell type is nothing but a name.
CREATE TYPE shop.not_yet_defined;

-- A range over a type of one's own brings its own constructor functions, which dumps must
-- not create a second time.
CREATE FUNCTION shop.float_distance(a double precision, b double precision)
    RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a - b';
CREATE TYPE shop.float_range AS RANGE (
    SUBTYPE = double precision, SUBTYPE_DIFF = shop.float_distance);
CREATE TYPE shop.text_range AS RANGE (SUBTYPE = text, COLLATION = "C");

CREATE COLLATION shop.plain (PROVIDER = libc, LOCALE = 'C');
DO $icu$
BEGIN
    -- Since 16 the one called unicode is there without ICU, too.
    IF EXISTS (SELECT FROM pg_collation WHERE collprovider = 'i' AND collname <> 'unicode') THEN
        CREATE COLLATION shop.numeric_order (PROVIDER = icu, LOCALE = 'en-u-kn-true');
        -- Under a nondeterministic collation 'a' = 'A': a unique index that is rebuilt
        -- with another collation accepts or refuses other rows.
        CREATE COLLATION shop.ignore_case
            (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
    END IF;
END
$icu$;

CREATE TEXT SEARCH DICTIONARY shop.names (TEMPLATE = pg_catalog.simple, ACCEPT = true);
CREATE TEXT SEARCH CONFIGURATION shop.product_search (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION shop.product_search
    ALTER MAPPING FOR asciiword, word WITH shop.names, english_stem;
COMMENT ON TEXT SEARCH CONFIGURATION shop.product_search IS 'names first, then stems';

-- Casts, operators, operator classes and conversions belong to no table and are missed by
-- tools that walk from table to table.
CREATE FUNCTION shop.mood_to_integer(value shop.mood) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT
    AS $$ SELECT array_position(enum_range(NULL::shop.mood), value) $$;
CREATE CAST (shop.mood AS integer) WITH FUNCTION shop.mood_to_integer(shop.mood) AS ASSIGNMENT;
CREATE FUNCTION shop.compare_descending(a integer, b integer) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE WHEN a < b THEN 1 WHEN a > b THEN -1 ELSE 0 END $$;
CREATE OPERATOR CLASS shop.descending_ops FOR TYPE integer USING btree AS
    OPERATOR 1 > , OPERATOR 2 >= , OPERATOR 3 = , OPERATOR 4 <= , OPERATOR 5 < ,
    FUNCTION 1 shop.compare_descending(integer, integer);
CREATE FUNCTION shop.nearly_equal(a double precision, b double precision) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT AS 'SELECT abs(a - b) < 1e-9';
CREATE OPERATOR shop.=~= (
    LEFTARG = double precision, RIGHTARG = double precision,
    FUNCTION = shop.nearly_equal, COMMUTATOR = OPERATOR(shop.=~=));
CREATE CONVERSION shop.from_latin1 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
-- A second name for the built-in table access method: dumps must switch
-- `default_table_access_method` back and forth.
CREATE ACCESS METHOD heap_by_another_name TYPE TABLE HANDLER heap_tableam_handler;
