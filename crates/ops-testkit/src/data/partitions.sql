-- Partitions of every kind. A dump loads each leaf by itself, so whatever decides the leaf
-- must decide the same after a restore.

CREATE SEQUENCE shop.order_id;
CREATE TABLE shop."order" (
    id bigint NOT NULL DEFAULT nextval('shop.order_id'),
    placed date NOT NULL,
    region shop.region NOT NULL,
    customer bigint NOT NULL REFERENCES shop.customer DEFERRABLE,
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'sent')),
    lines integer NOT NULL DEFAULT 0,
    total numeric(14, 2) NOT NULL DEFAULT 0,
    PRIMARY KEY (id, placed, region)
) PARTITION BY RANGE (placed);
ALTER SEQUENCE shop.order_id OWNED BY shop."order".id;
CREATE TABLE shop.order_2024q1 PARTITION OF shop."order" FOR VALUES FROM (MINVALUE) TO ('2024-04-01');
-- Two levels: the middle one holds no rows itself and has no storage.
CREATE TABLE shop.order_2024q2 PARTITION OF shop."order"
    FOR VALUES FROM ('2024-04-01') TO ('2024-07-01') PARTITION BY LIST (region);
CREATE TABLE shop.order_2024q2_eu PARTITION OF shop.order_2024q2 FOR VALUES IN ('eu');
CREATE TABLE shop.order_2024q2_us PARTITION OF shop.order_2024q2 (total DEFAULT 1) FOR VALUES IN ('us', 'apac');
CREATE TABLE shop.order_2024q2_rest PARTITION OF shop.order_2024q2 DEFAULT;
-- Attached with its columns in another order and with holes: COPY without a column list
-- puts values into the wrong columns, often without an error.
CREATE TABLE shop.order_2024q3 (
    total numeric(14, 2) NOT NULL DEFAULT 0, dropped text, state text NOT NULL DEFAULT 'new',
    region shop.region NOT NULL, customer bigint NOT NULL, dropped_too integer,
    lines integer NOT NULL DEFAULT 0, placed date NOT NULL,
    id bigint NOT NULL DEFAULT nextval('shop.order_id'),
    CONSTRAINT order_state_check CHECK (state IN ('new', 'paid', 'sent')));
ALTER TABLE shop.order_2024q3 DROP COLUMN dropped, DROP COLUMN dropped_too;
ALTER TABLE shop."order" ATTACH PARTITION shop.order_2024q3 FOR VALUES FROM ('2024-07-01') TO ('2024-10-01');
-- A partition in another schema, and the default one.
CREATE TABLE "Sales Region"."order 2024/q4" PARTITION OF shop."order" FOR VALUES FROM ('2024-10-01') TO ('2025-01-01');
CREATE TABLE shop.order_default PARTITION OF shop."order" DEFAULT;
-- Detached: no longer part of the tree, but still full of rows.
CREATE TABLE shop.order_2019 (LIKE shop."order" INCLUDING DEFAULTS INCLUDING CONSTRAINTS);

INSERT INTO shop."order" (placed, region, customer, state, lines, total)
SELECT date '2024-01-01' + (i * 13 % 430), (enum_range(NULL::shop.region))[1 + i % 4],
    1 + i % 500, (ARRAY['new', 'paid', 'sent'])[1 + i % 3], i % 4, i * 3.17
FROM generate_series(1, 1200) AS i;
INSERT INTO shop.order_2019 (placed, region, customer)
SELECT date '2019-01-01' + i, 'eu', 1 + i FROM generate_series(1, 30) AS i;

CREATE INDEX order_customer ON shop."order" (customer, placed DESC);
-- On the parent only: the index stays invalid, and a dump must not complete it.
CREATE INDEX order_total ON ONLY shop."order" (total);
CREATE INDEX order_2024q1_total ON shop.order_2024q1 (total);
ALTER INDEX shop.order_total ATTACH PARTITION shop.order_2024q1_total;

-- By hash, with uneven moduli, and a foreign key from one partitioned table to another.
CREATE TABLE shop.order_line (
    "order" bigint NOT NULL, placed date NOT NULL, region shop.region NOT NULL,
    line integer NOT NULL, product bigint REFERENCES shop.product,
    quantity integer NOT NULL, note text,
    PRIMARY KEY ("order", placed, region, line),
    CONSTRAINT order_line_order FOREIGN KEY ("order", placed, region)
        REFERENCES shop."order" ON UPDATE CASCADE ON DELETE CASCADE
) PARTITION BY HASH ("order");
CREATE TABLE shop.order_line_0 PARTITION OF shop.order_line FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.order_line_1 PARTITION OF shop.order_line FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE shop.order_line_3 PARTITION OF shop.order_line FOR VALUES WITH (MODULUS 4, REMAINDER 3);
INSERT INTO shop.order_line
SELECT o.id, o.placed, o.region, l, 1 + (o.id * l) % 300, l, CASE WHEN l = 2 THEN md5(o.id::text) END
FROM shop."order" AS o, generate_series(1, o.lines) AS l;

-- By the hash of an enum. Labels are hashed by OID, and a restore assigns other OIDs, so
-- most rows belong to another leaf then: loading leaf by leaf fails, and row counts or
-- checksums are equal only for the whole tree. pg_dump loads it through the root. This is
-- the one table whose dump text changes over a restore; see `data::REPARTITIONED`.
CREATE TABLE shop.vote (mood shop.mood NOT NULL, voter integer NOT NULL, PRIMARY KEY (mood, voter))
    PARTITION BY HASH (mood);
CREATE TABLE shop.vote_0 PARTITION OF shop.vote FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE shop.vote_1 PARTITION OF shop.vote FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE shop.vote_2 PARTITION OF shop.vote FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO shop.vote SELECT (enum_range(NULL::shop.mood))[1 + i % 5], i FROM generate_series(1, 250) AS i;

-- By several columns and by an expression, with bounds that need quoting, and NULL as a key.
CREATE TABLE shop.by_range (code text, day date, body text) PARTITION BY RANGE (lower(code), day);
CREATE TABLE shop.by_range_1 PARTITION OF shop.by_range FOR VALUES FROM (MINVALUE, MINVALUE) TO ('it''s', MINVALUE);
CREATE TABLE shop.by_range_2 PARTITION OF shop.by_range FOR VALUES FROM ('it''s', MINVALUE) TO (MAXVALUE, MAXVALUE);
INSERT INTO shop.by_range SELECT chr(65 + i % 26) || i, date '2024-01-01' + i, md5(i::text) FROM generate_series(1, 100) AS i;
CREATE TABLE shop.by_list (tag text, body text) PARTITION BY LIST (tag);
CREATE TABLE shop.by_list_odd PARTITION OF shop.by_list FOR VALUES IN (NULL, '', 'NULL', '\N', E'a\nb', 'it''s');
CREATE TABLE shop.by_list_rest PARTITION OF shop.by_list DEFAULT;
INSERT INTO shop.by_list VALUES (NULL, 'null'), ('', 'empty'), ('NULL', 'word'), ('\N', 'marker'),
    (E'a\nb', 'break'), ('it''s', 'quote'), ('other', 'default');
-- A partitioned table without a partition.
CREATE TABLE shop.unpartitioned_yet (id integer NOT NULL, day date NOT NULL) PARTITION BY RANGE (day);

ALTER TABLE shop."order" OWNER TO shop_owner;
ALTER TABLE shop.order_line OWNER TO shop_owner;
COMMENT ON TABLE "Sales Region"."order 2024/q4" IS 'a partition that lives elsewhere';
