INSERT INTO bulk.event
SELECT id,
    -- 500 a day, in the order of time, for all days of the year, over and over.
    timestamptz '2024-01-01 00:00+00' + (id / 500 % 366) * interval '1 day' + (id % 500) * interval '172.8 seconds',
    (ARRAY['view', 'click', 'purchase', 'refund', 'login'])[1 + (hashint8extended(id, 2) & 1023) % 5],
    md5((hashint8extended(id, 3) & 65535)::text)::uuid,
    CASE WHEN id % 4 > 0 THEN inet '10.0.0.0' + (hashint8extended(id, 4) & 16777215) END,
    (hashint8extended(id, 5) & 1048575) / 100.0,
    CASE WHEN id % 3 = 0 THEN jsonb_build_object('page', '/p/' || (hashint8extended(id, 6) & 4095), 'ms', id % 977) END
FROM generate_series($1::bigint, $2::bigint) AS id
