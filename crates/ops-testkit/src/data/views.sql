-- Views and materialized views: the order of their creation matters, and some are circular.

-- Grouped by a primary key, so the view depends on the constraint, which a dump adds after
-- the data: the view must be split in two, or come late.
CREATE VIEW shop.customer_orders AS
    SELECT c.*, count(o.id) AS orders, sum(o.total) AS total
    FROM shop.customer AS c LEFT JOIN shop."order" AS o ON o.customer = c.id
    GROUP BY c.id;
-- Kept apart from leaky functions of whoever queries it.
CREATE VIEW shop.big_spenders WITH (security_barrier) AS
    SELECT id, name, "orders" AS "select", total FROM shop.customer_orders WHERE total > 1000;
CREATE VIEW shop.old_products AS
    SELECT id, title, net, legacy FROM shop.product WHERE legacy IS NOT NULL WITH CASCADED CHECK OPTION;
ALTER VIEW shop.old_products ALTER COLUMN legacy SET DEFAULT 'old';
CREATE VIEW shop.cheap_old_products AS
    SELECT * FROM shop.old_products WHERE net < 500 WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW shop.category_path (id, path) AS
    SELECT id, ARRAY[name] FROM shop.category WHERE parent IS NULL
    UNION ALL
    SELECT c.id, p.path || c.name FROM shop.category AS c JOIN category_path AS p ON c.parent = p.id;
-- Column names of its own, quotes in its name, and an operator that reads oddly.
CREATE VIEW "größe"."sicht ""1""" ("of", "%") AS
    SELECT x."имя", x."größe" FROM "größe"."таблица_🧾" AS x WHERE x."имя" <> E'\\.\n' OR x IS NULL;
CREATE VIEW shop.writable AS SELECT id, body FROM shop.watched;
CREATE TRIGGER instead INSTEAD OF INSERT ON shop.writable
    FOR EACH ROW EXECUTE FUNCTION shop.record_change('instead');
-- A function that returns the rows of a view, and a view on that function.
CREATE FUNCTION shop.spenders_over(minimum numeric) RETURNS SETOF shop.big_spenders
    LANGUAGE sql STABLE AS 'SELECT * FROM shop.big_spenders WHERE total > minimum';
CREATE VIEW shop.rich AS SELECT id, name FROM shop.spenders_over(3000) AS s;
ALTER VIEW shop.rich OWNER TO shop_owner;
ALTER VIEW shop.customer_orders OWNER TO shop_owner;
COMMENT ON VIEW shop.rich IS 'through a function';
COMMENT ON COLUMN shop.rich.name IS 'the customer''s';

-- Materialized views are refreshed at the end of a restore, each after those that it reads.
-- `a_monthly` sorts before `z_daily` by name, but needs it.
CREATE MATERIALIZED VIEW shop.z_daily AS
    SELECT placed, region, count(*) AS orders, sum(total) AS total FROM shop."order"
    GROUP BY placed, region ORDER BY placed, region;
CREATE MATERIALIZED VIEW shop.a_monthly AS
    SELECT date_trunc('month', placed)::date AS month, sum(orders) AS orders, sum(total) AS total
    FROM shop.z_daily GROUP BY 1 ORDER BY 1;
-- Depends on a primary key, as `customer_orders` does.
CREATE MATERIALIZED VIEW shop.product_lines WITH (fillfactor = 90) AS
    SELECT p.*, count(l.line) AS lines FROM shop.product AS p LEFT JOIN shop.order_line AS l ON l.product = p.id
    GROUP BY p.id ORDER BY p.id;
CREATE UNIQUE INDEX z_daily_key ON shop.z_daily (placed, region);
CREATE INDEX product_lines_net ON shop.product_lines (net) INCLUDE (title);
-- Never populated: reading it is an error, before as after. A tool that counts the rows of
-- every relation trips over it, and one that refreshes everything changes it.
CREATE MATERIALIZED VIEW shop.unpopulated AS SELECT * FROM shop.z_daily WITH NO DATA;
ALTER MATERIALIZED VIEW shop.unpopulated OWNER TO shop_owner;
