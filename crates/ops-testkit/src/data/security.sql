-- Privileges, default privileges and row-level security. They are data about people: a
-- restore without them opens what was closed, or closes what was open.

GRANT USAGE ON SCHEMA shop, "Sales Region", "größe" TO shop_reader;
GRANT USAGE, CREATE ON SCHEMA shop TO shop_admin WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO shop_reader;
GRANT INSERT, UPDATE, DELETE ON shop.customer, shop.product, shop."order", shop.order_line TO shop_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA shop TO shop_app;
REVOKE SELECT ON shop.audit FROM shop_reader;
-- Column privileges are stored with the column, not with the table.
GRANT SELECT (id, source), UPDATE (detail) ON shop.audit TO "Shop Auditor's ""role""" WITH GRANT OPTION;
GRANT INSERT (body) ON shop.watched TO PUBLIC;
-- Granted on by someone who is not the owner: the dump must grant in the right order, and
-- under the right name.
GRANT SELECT ON shop.orphan TO shop_admin WITH GRANT OPTION;
SET SESSION AUTHORIZATION shop_admin;
GRANT SELECT ON shop.orphan TO "shop-ünïcode-🛒";
RESET SESSION AUTHORIZATION;
-- The owner gave up rights of its own.
REVOKE DELETE, TRUNCATE ON shop.category FROM shop_owner;
-- PUBLIC may execute functions and use types by default; that it may not, here, is a
-- privilege that is missing, and as easily lost as one that is there.
REVOKE EXECUTE ON FUNCTION shop.secret_count() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.secret_count() TO shop_app;
REVOKE EXECUTE ON PROCEDURE shop.add_root_categories(integer) FROM PUBLIC;
REVOKE USAGE ON TYPE shop.mood FROM PUBLIC;
GRANT USAGE ON TYPE shop.mood TO shop_reader, shop_app;
GRANT USAGE ON TYPE shop.sku TO shop_admin WITH GRANT OPTION;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO shop_admin;
-- Privileges on what belongs to the system are kept apart from those that initdb made.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO shop_admin;
GRANT SELECT (rolname, rolpassword) ON pg_catalog.pg_authid TO "Shop Auditor's ""role""";

ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA shop GRANT SELECT ON TABLES TO shop_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner IN SCHEMA shop GRANT USAGE ON SEQUENCES TO shop_app WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE shop_admin GRANT USAGE ON SCHEMAS TO "shop-ünïcode-🛒";

-- Row-level security. A role that is neither superuser nor exempt dumps a part of the rows,
-- and says nothing unless it is told `row_security = off`. FORCE binds the owner too.
CREATE TABLE shop.tenant_note (
    id integer PRIMARY KEY, tenant text NOT NULL DEFAULT CURRENT_USER, body text, secret boolean NOT NULL);
INSERT INTO shop.tenant_note
SELECT i, (ARRAY['shop_app', 'shop_reader', 'Shop Auditor''s "role"'])[1 + i % 3], md5(i::text), i % 4 = 0
FROM generate_series(1, 90) AS i;
ALTER TABLE shop.tenant_note OWNER TO shop_owner;
ALTER TABLE shop.tenant_note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON shop.tenant_note FOR ALL TO shop_app, shop_reader
    USING (tenant = CURRENT_USER) WITH CHECK (tenant = CURRENT_USER AND NOT secret);
CREATE POLICY "no; ""secrets""" ON shop.tenant_note AS RESTRICTIVE FOR SELECT TO PUBLIC
    USING (NOT secret OR pg_has_role(CURRENT_USER, 'Shop Auditor''s "role"', 'MEMBER'));
CREATE POLICY audit ON shop.tenant_note FOR SELECT TO "Shop Auditor's ""role""" USING (true);
CREATE POLICY written ON shop.tenant_note FOR INSERT TO "shop-ünïcode-🛒" WITH CHECK (body <> E'\\.');
GRANT SELECT, INSERT, UPDATE ON shop.tenant_note TO shop_app;
COMMENT ON POLICY own_rows ON shop.tenant_note IS 'a tenant''s own';
-- Enabled without any policy: nobody but the owner sees a row.
CREATE TABLE shop.closed (id integer PRIMARY KEY);
INSERT INTO shop.closed SELECT i FROM generate_series(1, 9) AS i;
ALTER TABLE shop.closed ENABLE ROW LEVEL SECURITY;
-- Policies that are written down, but not in force.
CREATE TABLE shop.not_enforced (id integer PRIMARY KEY);
CREATE POLICY later ON shop.not_enforced USING (id > 0);
