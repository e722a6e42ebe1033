INSERT INTO bulk.blob
SELECT id, (
    SELECT string_agg(sha512(int8send(id * 128 + part)), '' ORDER BY part)
    FROM generate_series(0, 20 + (hashint8extended(id, 1) & 63)::integer) AS part)
FROM generate_series($1::bigint, $2::bigint) AS id
