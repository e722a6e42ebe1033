-- Roles belong to the cluster: `pg_dump` of one database does not hold them, so a backup
-- without `pg_dumpall --globals-only` cannot restore owners, privileges or policies.
--
-- Safe to run for every database of a cluster, also at the same time: the lock on the
-- shared catalog is seen from every database, unlike an advisory lock.
LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;

DO $roles$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            -- In the order of their names, in which `pg_dumpall` creates them: pg_dump lists
            -- the roles of a policy in the order of the catalog.
            --
            -- Names that must be quoted wherever a dump names an owner or a grantee.
            ('Shop Auditor''s "role"', 'NOLOGIN'),
            ('shop-ünïcode-🛒', 'NOLOGIN VALID UNTIL ''infinity'''),
            ('shop_admin', 'LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS NOINHERIT '
                || 'CONNECTION LIMIT 3 VALID UNTIL ''2038-01-19 03:14:07+00'''),
            -- The verifier of the password in `data::APP_PASSWORD`: a dump that replaces
            -- passwords by nothing locks the application out.
            ('shop_app', 'LOGIN CONNECTION LIMIT 50 PASSWORD '
                || quote_literal('SCRAM-SHA-256$4096:++Y5w+SbdpulSluXj45ARg=='
                || '$AhT7TAqnQaVUmx3azrZjPgwT2YamWklj7RChRGW+qcU='
                || ':DHRtc4z3p4zTcvQqhYdS44V8hIh1IVIkA+zHpeL4MsU=')),
            ('shop_owner', 'NOLOGIN'),
            ('shop_reader', 'NOLOGIN'),
            ('shop_select', 'NOLOGIN')
        ) AS roles (name, attributes)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            EXECUTE format('CREATE ROLE %I %s', wanted.name, wanted.attributes);
        END IF;
    END LOOP;
END
$roles$;

-- A chain of memberships, one of them with the right to pass it on. Restoring them needs
-- every role to exist first.
DO $memberships$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('shop_select', 'shop_reader', ''),
            ('shop_reader', 'shop_app', ''),
            ('shop_reader', 'Shop Auditor''s "role"', 'WITH ADMIN OPTION'),
            ('shop_owner', 'shop_admin', 'WITH ADMIN OPTION')
        ) AS memberships (granted, member, options)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_auth_members m
            JOIN pg_roles g ON g.oid = m.roleid
            JOIN pg_roles r ON r.oid = m.member
            WHERE g.rolname = wanted.granted AND r.rolname = wanted.member
        ) THEN
            EXECUTE format('GRANT %I TO %I %s', wanted.granted, wanted.member, wanted.options);
        END IF;
    END LOOP;
END
$memberships$;

COMMENT ON ROLE shop_owner IS 'owns what the shop''s "migrations" create; see C:\shop\readme';
-- A list setting: dumps that quote it as one string set a schema called
-- `shop, "Sales Region", public`.
ALTER ROLE shop_app SET search_path = shop, "Sales Region", public;
ALTER ROLE shop_app SET statement_timeout = '30s';
ALTER ROLE shop_reader SET default_transaction_read_only = on;
ALTER ROLE "Shop Auditor's ""role""" SET application_name = E'audit''s \\ "log"';
