-- One column for every type, and the values of each that break text formats.

CREATE TABLE shop.every_type (
    id integer PRIMARY KEY,
    note text NOT NULL,
    small smallint, whole integer, large bigint,
    exact numeric, scaled numeric(1000, 200),
    single real, double double precision,
    flag boolean, letter "char", fixed char(8), varying varchar(20), plain text, catalog_name name,
    raw bytea,
    day date, moment timestamp, instant timestamptz, clock time, zoned_clock timetz, span interval,
    millis timestamptz(3), year_span interval year to month,
    address inet, network cidr, mac macaddr, mac8 macaddr8,
    bits bit(5), more_bits varbit,
    document json, tree jsonb, path jsonpath,
    words tsvector, question tsquery,
    whole_range int4range, exact_range numrange, instant_range tstzrange, day_range daterange,
    own_range shop.float_range, text_range shop.text_range,
    spot point, segment lseg, rectangle box, route path, area polygon, disc circle, lined line,
    ident uuid, position_in_log pg_lsn, xid_value xid8, snapshot_value txid_snapshot,
    mood shop.mood, price shop.amount, home shop.address, checked_home shop.home_address,
    parcel shop.parcel, grid shop.matrix,
    numbers integer[], texts text[], moods shop.mood[], parcels shop.parcel[],
    -- Stored as an OID, dumped as a name: the named thing must exist when the row is loaded.
    class_name regclass, type_name regtype, function_name regprocedure, role_name regrole
);
ALTER TABLE shop.every_type OWNER TO shop_owner;

INSERT INTO shop.every_type (id, note) VALUES (0, 'every other column is NULL');
-- Not NULL, but empty: CSV-like formats cannot tell '' from NULL.
INSERT INTO shop.every_type (id, note, fixed, varying, plain, catalog_name, raw, more_bits,
    words, texts, numbers, grid, document, whole_range, route)
VALUES (1, '', '', '', '', '', '', '', '', '{}', '{}', '{}', '""', 'empty', '((0,0))');
INSERT INTO shop.every_type (id, note, small, whole, large, exact, scaled, single, double,
    day, moment, instant, clock, zoned_clock, span, millis, year_span)
VALUES
    (10, 'smallest', -32768, -2147483648, -9223372036854775808, 'NaN', -0.0001,
        '-Infinity', '-Infinity', '-infinity', '-infinity', '-infinity', '00:00',
        '00:00+15:59', '-178000000 years', '4713-01-02 00:00 BC', '-1 year -11 months'),
    (11, 'largest', 32767, 2147483647, 9223372036854775807, repeat('9', 1000)::numeric,
        repeat('9', 799)::numeric + 1e-200, 'Infinity', 'Infinity', 'infinity', 'infinity',
        'infinity', '24:00', '24:00-15:59', '178000000 years', '294276-12-31 23:59:59.999+00',
        '1000 years'),
    -- A driver that goes through doubles, or prints floats with 15 digits, changes these.
    (12, 'not a number, minus zero', 0, 0, 0, 1e-1000, 'NaN', 'NaN', 'NaN', '0044-03-15 BC',
        '0001-01-01 00:00:00 BC', '1883-11-18 12:03:58-05', '23:59:59.999999', '12:00+05:45',
        '1 mon -1 day +25:00:00.000001', NULL, NULL),
    (13, 'minus zero', -0, 1, 9007199254740993, 0.1000, 1.5, '-0', '-0', '2000-02-29',
        '1999-12-31 24:00:00', '2021-10-31 02:30:00+02', '00:00:00.000001', NULL,
        '-00:00:00.000001', '2021-10-31 02:30:00.9996+01', NULL),
    (14, 'denormal, and digits that need all 17', NULL, NULL, 9007199254740992,
        123456789012345678901234567890.123456789012345678901234567890, NULL,
        '1.1754944e-38', '4.9406564584124654e-324', '5874897-12-31', NULL, NULL, NULL, NULL,
        '1 year -13 months +1 day -00:00:01', NULL, NULL),
    (15, 'thirds', NULL, NULL, NULL, 1/3::numeric, NULL, 1/3::real, 0.1::float8 + 0.2::float8,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO shop.every_type (id, note, flag, letter, fixed, varying, catalog_name, raw,
    address, network, mac, mac8, bits, more_bits, ident, position_in_log, xid_value,
    snapshot_value)
VALUES
    -- All 256 byte values in order, NUL included.
    (20, 'bytes', true, '\', 'pad  ', 'trail  ', repeat('n', 63)::name,
        (SELECT string_agg(set_byte('\x00', 0, i), '' ORDER BY i) FROM generate_series(0, 255) i),
        '::ffff:10.0.0.1/96', '::/0', '08:00:2b:01:02:03', '08:00:2b:ff:fe:01:02:03', B'10101',
        B'', '00000000-0000-0000-0000-000000000000', 'FFFFFFFF/FFFFFFFF',
        '18446744073709551615', '10:20:10,14,15'),
    (21, 'more bytes', false, ''::"char", '        ', E'\t', E'a"b''c', '\x5c2e0a', '10.1.2.3/8',
        '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', NULL, B'00000', repeat('01', 500)::varbit,
        'ffffffff-ffff-ffff-ffff-ffffffffffff', '0/0', '0', '1:1:');
-- `json` keeps white space, order and duplicate keys; `jsonb` does not. A tool that parses
-- the first as if it were the second rewrites what the application signed.
INSERT INTO shop.every_type (id, note, document, tree, path, words, question)
VALUES
    (30, 'json', E'{ "b" : 1,\n\t"a": 1.0, "a" : 1.00 , "\\u00e9\\n": "\\ud83d\\ude00" }',
        '{"b": 1.50, "a": [null, true, {"": ""}], "n": 1e400, "s": "\\ \" \n \u0001 🎉"}',
        '$."a b"[*] ? (@.x like_regex "^\\d+$")', $$'it''s':1A 'a\\b':2,16383 ' ':3B$$::tsvector,
        $$!'it''s' & ('a b':* <-> c:AB)$$),
    (31, 'scalars', 'null', 'null', 'strict $', 'a:1 a:2 b', NULL),
    (32, 'deep', (repeat('[', 500) || repeat(']', 500))::json,
        (repeat('{"k":', 200) || '0' || repeat('}', 200))::jsonb, NULL, NULL, NULL);
INSERT INTO shop.every_type (id, note, whole_range, exact_range, instant_range, day_range,
    own_range, text_range, spot, segment, rectangle, route, area, disc, lined)
VALUES
    (40, 'ranges', '(1,9]', '[NaN,NaN]', '(-infinity,infinity)', '[infinity,]', '[-Infinity,NaN)',
        '["a,b","c""d\\")', '(NaN,-0)', '[(1e300,-1e-300),(0,0)]', '((1,1),(0,0))',
        '[(0,0),(1,1)]', '((0,0),(1,0),(0.1,0.2))', '<(0,0),Infinity>', '{1,-1,0}'),
    (41, 'unbounded', '(,)', '(,)', '[2021-10-31 02:30+02,2021-10-31 02:30+01]', 'empty', '(,0]',
        '["",""]', '(1,2)', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO shop.every_type (id, note, mood, price, home, checked_home, parcel, grid, numbers,
    texts, moods, parcels)
VALUES
    -- Lower bounds other than 1, NULL beside 'NULL', quotes inside quotes inside quotes.
    (50, 'arrays', 'it''s "great" 🎉', 12.3400, ROW('1, "Rue" d''Été\', 'Paris ', NULL),
        ROW('', '', ''), ROW('l', ARRAY[ROW('a"b', 'c,d', '(e)')::shop.address, NULL], 0),
        '{{1,2},{3,4}}', '[-1:1][0:0]={{1},{NULL},{3}}',
        ARRAY['NULL', NULL, '', ' ', '{}', ',', '"', '\', E'\n', 'ünï🎉'],
        '{so-so,"it''s \"great\" 🎉",NULL}', ARRAY[ROW('p', '{}', 1), NULL]::shop.parcel[]),
    (51, 'more arrays', 'sad', -999999999999.9999, ROW(NULL, NULL, NULL), ROW(NULL, 'x', NULL),
        ROW(NULL, NULL, 5), '{}', '{{{1,2},{3,4}},{{5,6},{7,NULL}}}', '{{a,NULL},{"",\\N}}', '{}', '{}');
INSERT INTO shop.every_type (id, note, class_name, type_name, function_name, role_name)
VALUES (60, 'names of objects', 'shop.every_type', 'shop.mood[]',
    'shop.compare_descending(integer,integer)', 'shop_owner');

-- Text that looks like the framing of a dump. The id says what it imitates.
CREATE TABLE shop.hostile_text (id text PRIMARY KEY, body text, next text DEFAULT E'\\N');
INSERT INTO shop.hostile_text (id, body, next) VALUES
    ('end of copy', '\.', E'\n\\.\n'),
    ('end of copy, line feeds', E'before\n\\.\nafter', E'\\.\r\n\\.\r'),
    ('null marker', '\N', NULL),
    ('escapes', E'\\t\\n\\\\ \\x41 \\101 \\b', E'tab\there\vvertical\fform\bback'),
    ('line ends', E'unix\nold mac\rdos\r\nend', E'\r'),
    ('blanks', '  leading and trailing  ', E'\n\n\n'),
    ('sql', $$'); DROP TABLE shop.hostile_text; --$$, '$$ $body$ $_$ ; \connect template1'),
    ('psql', E'\\restrict x\n\\unrestrict x\n\\! false\n\\copy shop.hostile_text from stdin', ':name :''name'''),
    ('dump headers', E'--\n-- Data for Name: x; Type: TABLE DATA; Schema: public\n--\n\nCOPY public.x FROM stdin;\n', 'PGDMP'),
    ('unicode', E'e\u0301 \u00e9 \U0001F468\u200D\U0001F469\u200D\U0001F467 \u202Eabc\u202C \uFEFF \u0085 \u2028 \uFFFD \U0010FFFF', E'\u0001\u001b[31m\u007f'),
    ('quotes', $$'single' "double" `back` ''two'' ""$$, E'''\\'''),
    ('format', '%s %n %% %1$s {} {0} ${HOME} $(id) `id` &amp; <![CDATA[x]]>', '*/ /* -- #');
ALTER TABLE shop.hostile_text OWNER TO "Shop Auditor's ""role""";

-- A single line of 5 MiB: readers with a fixed buffer per line or per field cut it off.
CREATE TABLE shop.long_value (
    id integer PRIMARY KEY,
    body text,
    raw bytea
);
ALTER TABLE shop.long_value ALTER COLUMN raw SET STORAGE EXTERNAL;
INSERT INTO shop.long_value
SELECT 1, string_agg(md5(i::text), '' ORDER BY i),
    string_agg(decode(md5((-i)::text), 'hex'), '' ORDER BY i)
FROM generate_series(1, 163840) AS i;
INSERT INTO shop.long_value VALUES (2, repeat(E'\\', 1000000), decode(repeat('00', 1000000), 'hex'));
INSERT INTO shop.long_value VALUES (3, repeat(E'\n\t', 100000), '');

-- Values that only newer servers have: infinite numerics (14), negative scale (15),
-- multiranges (14).
DO $versions$
BEGIN
    IF current_setting('server_version_num')::integer >= 140000 THEN
        INSERT INTO shop.every_type (id, note, exact, exact_range)
        VALUES (70, 'infinite', 'Infinity', '[-Infinity,Infinity]');
        EXECUTE $$CREATE TABLE shop.multiranges (
            id integer PRIMARY KEY, whole int4multirange, instants tstzmultirange,
            own shop.float_multirange)$$;
        EXECUTE $$INSERT INTO shop.multiranges VALUES
            (1, '{}', '{(,)}', '{[1,2),[3,Infinity]}'),
            (2, '{[1,3),[5,9]}', '{[2021-10-31 02:30+02,2021-10-31 02:30+01]}', NULL)$$;
    END IF;
    IF current_setting('server_version_num')::integer >= 150000 THEN
        EXECUTE 'CREATE TABLE shop.rounded (id integer PRIMARY KEY, thousands numeric(5, -3), '
            'fraction numeric(2, 5))';
        EXECUTE 'INSERT INTO shop.rounded VALUES (1, 12345678, 0.00012), (2, -499, -0.00099)';
    END IF;
END
$versions$;

-- `xml` exists only where the server was built with libxml.
DO $xml$
BEGIN
    PERFORM xmlparse(CONTENT '<a/>');
    CREATE TABLE shop.markup (id integer PRIMARY KEY, body xml);
    EXECUTE $$INSERT INTO shop.markup VALUES
        (1, '<?xml version="1.0"?><a b="&lt;&amp;&quot;"><![CDATA[ ]] ]]><!-- c --></a>'),
        (2, xmlparse(CONTENT 'text <b/> and text')), (3, '')$$;
EXCEPTION
    WHEN feature_not_supported THEN NULL;
END
$xml$;
