INSERT INTO bulk.document
SELECT d.id,
    (hashint8extended(d.id, 20) & 8191)::integer,
    timestamptz '2024-01-01 00:00+00' + d.id * interval '37 seconds',
    split_part(s1.body, ' ', 1) || ' ' || split_part(s2.body, ' ', 2) || ' ' || d.id,
    s1.body || s2.body || s3.body || s4.body || s5.body || s6.body || s7.body || s8.body,
    jsonb_build_object(
        'kind', (ARRAY['note', 'letter', 'invoice', 'report'])[1 + d.id % 4],
        'rank', hashint8extended(d.id, 21) & 65535,
        'tags', jsonb_build_array(split_part(s3.body, ' ', 3), split_part(s4.body, ' ', 4)),
        'ref', md5(d.id::text))
FROM (
    SELECT id,
        (hashint8extended(id, 1) & 16383)::integer AS n1, (hashint8extended(id, 2) & 16383)::integer AS n2,
        (hashint8extended(id, 3) & 16383)::integer AS n3, (hashint8extended(id, 4) & 16383)::integer AS n4,
        (hashint8extended(id, 5) & 16383)::integer AS n5, (hashint8extended(id, 6) & 16383)::integer AS n6,
        (hashint8extended(id, 7) & 16383)::integer AS n7, (hashint8extended(id, 8) & 16383)::integer AS n8
    FROM generate_series($1::bigint, $2::bigint) AS id) AS d
JOIN bulk.sentence AS s1 ON s1.id = d.n1 JOIN bulk.sentence AS s2 ON s2.id = d.n2
JOIN bulk.sentence AS s3 ON s3.id = d.n3 JOIN bulk.sentence AS s4 ON s4.id = d.n4
JOIN bulk.sentence AS s5 ON s5.id = d.n5 JOIN bulk.sentence AS s6 ON s6.id = d.n6
JOIN bulk.sentence AS s7 ON s7.id = d.n7 JOIN bulk.sentence AS s8 ON s8.id = d.n8
