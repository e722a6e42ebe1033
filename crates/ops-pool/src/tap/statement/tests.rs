//! Statements, and what is known of them.

use super::*;

#[track_caller]
fn none_leaves_a_trace(queries: &[&str]) {
    for query in queries {
        assert!(leaves_no_trace(query), "{query:?} leaves no trace");
    }
}

#[track_caller]
fn each_leaves_a_trace(queries: &[&str]) {
    for query in queries {
        assert!(!leaves_no_trace(query), "{query:?} may leave a trace");
    }
}

#[test]
fn words_are_in_order() {
    for words in [BEGINNINGS, TRACES, KEYWORDS, FUNCTIONS] {
        assert!(words.is_sorted());
    }
}

#[test]
fn reading_leaves_no_trace() {
    none_leaves_a_trace(&[
        "",
        ";",
        " -- nothing\n",
        "SELECT 1",
        "select * from goods where id = $1",
        "SELECT count(*), max(price) FROM shop.goods g JOIN makers m USING (maker) GROUP BY (1)",
        "SELECT pg_catalog.lower(name) FROM goods WHERE price IN (1, 2) AND NOT (stock > 0)",
        "SELECT coalesce(name, 'set_config(x)') FROM goods FOR UPDATE SKIP LOCKED",
        "WITH dear AS (SELECT * FROM goods WHERE price > 100) SELECT sum(price) FROM dear",
        "SELECT row_number() OVER (PARTITION BY maker ORDER BY price) FROM goods",
        "SELECT price::numeric(10, 2), CAST(name AS varchar(20)) FROM goods",
        "SELECT name \"SET\" FROM goods -- ; SET x = 1",
        "SELECT /* SET x /* = */ 1; */ name FROM goods",
        "SELECT $$; SET work_mem = 1; $$, $a$ $$ set_config( $a$",
        "SELECT E'it\\'s; SET x' || 'it''s; SET y'",
        "SELECT to_tsvector('a') @@ to_tsquery('b'), x'1f', b'1', 1.5e3, .5",
        "TABLE goods",
        "VALUES (1), (2)",
        "SHOW work_mem",
        "SELECT now(); SELECT 2;",
    ]);
}

#[test]
fn rows_and_transactions_leave_no_trace() {
    none_leaves_a_trace(&[
        "UPDATE goods SET price = price * 2 WHERE id = $1 RETURNING (price)",
        "DELETE FROM goods WHERE id = ANY($1)",
        "WITH old AS (DELETE FROM goods RETURNING *) SELECT count(*) FROM old",
        "BEGIN",
        "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SAVEPOINT one; ROLLBACK TO one; RELEASE one",
        "COMMIT; END; ABORT; ROLLBACK",
    ]);
}

#[test]
fn settings_leave_a_trace() {
    each_leaves_a_trace(&[
        "SET work_mem = '1MB'",
        "set role admin",
        "SET LOCAL work_mem = '1MB'",
        "SET SESSION AUTHORIZATION somebody",
        "RESET ALL",
        "DISCARD TEMP",
        "SELECT set_config('work_mem', '1MB', false)",
        "SELECT pg_catalog.set_config('work_mem', '1MB', false)",
        "SELECT \"set_config\"('work_mem', '1MB', false)",
        "SELECT set_config ('work_mem', '1MB', false)",
        "SELECT set_config/* */('work_mem', '1MB', false)",
        "SELECT 1; SET work_mem = '1MB'",
        "SELECT $1;SET work_mem = '1MB'",
        "/* read */ SET work_mem = '1MB'",
        "SELECT 'a'; -- '\nSET work_mem = '1MB'",
        "UPDATE pg_settings SET setting = '1MB' WHERE name = 'work_mem'",
        "UPDATE pg_catalog.pg_settings SET setting = '1MB'",
        "UPDATE \"pg_settings\" SET setting = '1MB'",
        "WITH x AS (UPDATE pg_settings SET setting = '1' RETURNING 1) SELECT * FROM x",
    ]);
}

#[test]
fn locks_channels_and_cursors_leave_a_trace() {
    each_leaves_a_trace(&[
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock(1) FROM goods",
        "SELECT pg_advisory_unlock_all()",
        "SELECT 1 FROM pg_advisory_lock_shared(1)",
        "LISTEN news",
        "UNLISTEN *",
        "DECLARE mine CURSOR WITH HOLD FOR SELECT 1",
        "FETCH 1 FROM mine",
        "CLOSE mine",
        "LOCK goods",
    ]);
}

#[test]
fn tables_and_sequences_leave_a_trace() {
    each_leaves_a_trace(&[
        "CREATE TEMP TABLE mine (id int)",
        "CREATE TEMPORARY VIEW mine AS SELECT 1",
        "CREATE TABLE pg_temp.mine (id int)",
        "SELECT 1 AS one INTO TEMP mine",
        "SELECT * INTO mine FROM goods",
        "WITH x AS (SELECT 1) SELECT * INTO TEMP mine FROM x",
        "SELECT nextval('numbers')",
        "SELECT setval('numbers', 1)",
        "INSERT INTO goods (name) VALUES ('tea')",
        "WITH new AS (INSERT INTO goods DEFAULT VALUES RETURNING *) SELECT * FROM new",
        "MERGE INTO goods USING news ON true WHEN MATCHED THEN DELETE",
        "UPDATE goods SET id = DEFAULT",
        "COPY goods FROM STDIN",
        "COPY (SELECT set_config('work_mem', '1MB', false)) TO STDOUT",
        "DROP TABLE goods",
        "TRUNCATE goods",
    ]);
}

#[test]
fn statements_and_code_leave_a_trace() {
    each_leaves_a_trace(&[
        "PREPARE mine AS SELECT 1",
        "PREPARE TRANSACTION 'mine'",
        "EXECUTE mine",
        "EXPLAIN ANALYZE EXECUTE mine",
        "DEALLOCATE ALL",
        "LOAD 'auto_explain'",
        "DO $$ BEGIN PERFORM set_config('work_mem', '1MB', false); END $$",
        "CALL tidy()",
        "SELECT tidy()",
        "SELECT shop.lower('x')",
        "SELECT shop . lower ('x')",
        "SELECT base.pg_catalog.lower('x')",
        "SELECT pg_catalog.tidy()",
        "SELECT \"lower\"('x')",
        "SELECT count(*) FROM goods WHERE tidy(name)",
        "SELECT * FROM goods, LATERAL tidy(goods.name)",
        "SELECT 1 OPERATOR(shop.+) 2",
        "SELECT dblink('...')",
        "SELECT lo_create(0)",
        "SELECT setseed(0.5)",
        "VACUUM",
        "NOTIFY news",
        "SECURITY LABEL FOR x ON TABLE y IS 'z'",
        "GRANT SELECT ON goods TO PUBLIC",
        "nonsense",
    ]);
}

#[test]
fn what_can_be_read_in_two_ways_leaves_a_trace() {
    each_leaves_a_trace(&[
        // Without standard_conforming_strings the string ends later.
        "SELECT 'a\\'; SET work_mem = '1MB",
        "SELECT '\\'",
        "SELECT U&'!0061' UESCAPE '!'",
        "SELECT U&\"set!005fconfig\" UESCAPE '!' ('work_mem', '1MB', false)",
        "SELECT 'open",
        "SELECT \"open",
        "SELECT $a$ open",
        "SELECT 1 /* open",
        "SELECT 1 /* /* */",
        "SELECT E'open\\",
    ]);
}

#[test]
fn names_that_look_like_known_ones_leave_a_trace() {
    each_leaves_a_trace(&[
        "SELECT counts(1)",
        "SELECT _count(1)",
        "SELECT count$(1)",
        "SELECT cöunt(1)",
        "SELECT écount(1)",
        "selects 1",
        "begin_work",
    ]);
}
