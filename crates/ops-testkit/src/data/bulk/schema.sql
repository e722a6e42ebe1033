-- Filler: bytes in bulk, with the mix of a real database. Text that a fast compressor
-- shrinks to a third, rows with many small columns, and bytes that nothing shrinks.

SET LOCAL client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS bulk;

-- Sentences of invented words, some of which are far more frequent than others, as in a
-- language. There are too many of them for a compressor to find whole ones again.
CREATE TABLE IF NOT EXISTS bulk.sentence (id integer PRIMARY KEY, body text NOT NULL);
WITH syllable AS MATERIALIZED (
    SELECT ARRAY[
        'ba', 'ren', 'to', 'mi', 'sol', 'ka', 'ver', 'in', 'de', 'la', 'por', 'un', 'ges', 'ti', 'on',
        'ar', 'ca', 'lem', 'os', 'qui', 'fa', 'dor', 'we', 'sha', 'nu', 'pel', 'tri', 'ma', 'ex', 'lo',
        'ste', 'ry'] AS list
), word AS MATERIALIZED (
    SELECT w.id, (
        SELECT string_agg(list[1 + get_byte(w.hash, s) % 32], '' ORDER BY s)
        FROM generate_series(0, 1 + get_byte(w.hash, 15) % 3) AS s) AS word
    FROM syllable, (SELECT id, decode(md5(id::text), 'hex') AS hash FROM generate_series(0, 2999) AS id) AS w
)
INSERT INTO bulk.sentence
SELECT p.sentence, string_agg(word.word, ' ' ORDER BY p.place) || '. '
FROM (
    SELECT s AS sentence, p AS place,
        floor(3000 * power((hashint8extended(s * 10 + p, 1) & 1048575) / 1048576.0::float8, 3))::integer AS word
    FROM generate_series(0::bigint, 16383) AS s, generate_series(0, 9) AS p) AS p
JOIN word ON word.id = p.word
WHERE NOT EXISTS (SELECT FROM bulk.sentence)
GROUP BY p.sentence
ORDER BY p.sentence;
ANALYZE bulk.sentence;

CREATE TABLE IF NOT EXISTS bulk.document (
    id bigint NOT NULL,
    author integer NOT NULL,
    created timestamptz NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    meta jsonb NOT NULL
);

CREATE TABLE IF NOT EXISTS bulk.event (
    id bigint NOT NULL,
    happened timestamptz NOT NULL,
    kind text NOT NULL,
    actor uuid NOT NULL,
    address inet,
    amount numeric(12, 2),
    detail jsonb
) PARTITION BY RANGE (happened);
DO $months$
BEGIN
    FOR month IN 1..12 LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS bulk.%I PARTITION OF bulk.event FOR VALUES FROM (%L) TO (%L)',
            'event_2024_' || lpad(month::text, 2, '0'),
            timestamptz '2024-01-01 00:00+00' + (month - 1) * interval '1 month',
            timestamptz '2024-01-01 00:00+00' + month * interval '1 month');
    END LOOP;
END
$months$;

CREATE TABLE IF NOT EXISTS bulk.blob (id bigint NOT NULL, content bytea NOT NULL);
ALTER TABLE bulk.blob ALTER COLUMN content SET STORAGE EXTERNAL;
