-- Large objects belong to no table and no schema: a dump of chosen tables or schemas leaves
-- them out. Rows hold their OIDs, so they must come back under the same ones. The OIDs are
-- far from those that the server is about to assign.

CREATE TABLE shop.attachment (
    id integer PRIMARY KEY, name text NOT NULL, content oid NOT NULL UNIQUE, bytes bigint NOT NULL);

DO $objects$
BEGIN
    -- No byte at all: no page in `pg_largeobject`, only a row in its metadata.
    PERFORM lo_create(4100001);
    -- Every byte value, and a length that is no multiple of the page of 2048 bytes.
    PERFORM lo_from_bytea(4100002, (
        SELECT string_agg(set_byte('\x00', 0, (i * 7) % 256), '' ORDER BY i)
        FROM generate_series(0, 2999) AS i));
    -- Larger than 2 MiB, and incompressible: several chunks on the wire.
    PERFORM lo_from_bytea(4100003, (
        SELECT string_agg(decode(md5(i::text) || md5((i + 0.5)::text), 'hex'), '' ORDER BY i)
        FROM generate_series(1, 80000) AS i));
    -- A hole: pages in the middle are missing and read as zeros.
    PERFORM lo_from_bytea(4100004, 'start');
    PERFORM lo_put(4100004, 300000, 'end');
    -- No row refers to this one, but it is part of the database all the same.
    PERFORM lo_from_bytea(4100005, '\x5c2e0a0d5c4e00');
END
$objects$;
INSERT INTO shop.attachment VALUES
    (1, 'empty', 4100001, 0), (2, 'every byte', 4100002, 3000), (3, 'large', 4100003, 2560000),
    (4, 'sparse', 4100004, 300003);

COMMENT ON LARGE OBJECT 4100003 IS 'larger than 2 MiB; it''s "big" \.';
ALTER LARGE OBJECT 4100002 OWNER TO shop_owner;
ALTER LARGE OBJECT 4100005 OWNER TO "Shop Auditor's ""role""";
GRANT SELECT ON LARGE OBJECT 4100002 TO shop_reader WITH GRANT OPTION;
GRANT SELECT, UPDATE ON LARGE OBJECT 4100003 TO shop_app, "shop-ünïcode-🛒";
