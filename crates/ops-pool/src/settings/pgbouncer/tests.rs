use std::io;
use std::time::Duration;

use ops_core::ErrorKind;
use ops_core::database::{Host, TlsMode, TlsRoots, TlsSettings, TlsVersion};

use super::*;

mod problems;
mod properties;

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn read(text: &str) -> PgBouncerPool {
    PgBouncerIni::new(text).user("app").read("shop").unwrap()
}

#[track_caller]
fn problems(text: &str) -> String {
    let err = PgBouncerIni::new(text)
        .user("app")
        .read("shop")
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    err.message().to_owned()
}

fn ignored(pool: &PgBouncerPool) -> Vec<String> {
    let names = pool.ignored.iter();
    names
        .map(|it| format!("{} {}", it.place.replace("pgbouncer.ini:", ""), it.name))
        .collect()
}

#[test]
fn a_line_without_settings_has_pgbouncers_defaults() {
    let pool = read("[databases]\nshop =\n");
    assert_eq!(pool.settings, PoolSettings::default());
    assert_eq!(
        pool.connect_info.to_string(),
        "postgres://app@/tmp:5432/shop"
    );
    assert_eq!(pool.ignored, []);
    let defaults = PoolSettings::default();
    assert_eq!(
        (
            defaults.pool_size,
            defaults.min_pool_size,
            defaults.reserve_pool_size
        ),
        (20, 0, 0)
    );
    let times = [
        defaults.reserve_pool_timeout,
        defaults.server_check_delay,
        defaults.server_lifetime,
        defaults.server_idle_timeout,
        defaults.server_connect_timeout,
        defaults.server_login_retry,
        defaults.query_wait_timeout,
    ];
    assert_eq!(times, [5, 30, 3600, 600, 15, 15, 120].map(|it| SECOND * it));
    assert_eq!(defaults.server_check_query.as_deref(), Some(""));
}

#[test]
fn every_setting_of_a_pool_is_read() {
    let pool = read(
        "[pgbouncer]\ndefault_pool_size = 0x20\nmin_pool_size=3\nreserve_pool_size = 4\n\
         reserve_pool_timeout = 0.5\nmax_db_connections = 90\nmax_user_connections = 80\n\
         server_round_robin = 1\nserver_reset_query = DEALLOCATE ALL; RESET ALL\n\
         server_check_delay = 7\nserver_check_query = SELECT 1\nserver_lifetime = 11\n\
         server_idle_timeout = 12.25\nserver_connect_timeout = 13\nserver_login_retry = 14\n\
         query_wait_timeout = 15\nmax_client_conn = 50\n[databases]\n\
         shop = connect_query='SET work_mem = ''8MB'''\n",
    );
    let expected = PoolSettings::new()
        .with_pool_size(32)
        .with_min_pool_size(3)
        .with_reserve_pool_size(4)
        .with_reserve_pool_timeout(SECOND / 2)
        .with_max_db_connections(90)
        .with_max_user_connections(80)
        .with_server_round_robin(true)
        .with_server_reset_query("DEALLOCATE ALL; RESET ALL")
        .with_server_check_delay(SECOND * 7)
        .with_server_check_query(Some("SELECT 1".to_owned()))
        .with_server_lifetime(SECOND * 11)
        .with_server_idle_timeout(SECOND * 49 / 4)
        .with_server_connect_timeout(SECOND * 13)
        .with_server_login_retry(SECOND * 14)
        .with_query_wait_timeout(SECOND * 15)
        .with_connect_query(Some("SET work_mem = '8MB'".to_owned()))
        .with_max_waiting(50 - 36);
    assert_eq!(pool.settings, expected);
    assert_eq!(pool.ignored, []);
}

#[test]
fn the_user_counts_before_the_database_and_that_before_the_rest() {
    let levels = |user: &str, database: &str| {
        let text = format!(
            "[pgbouncer]\ndefault_pool_size = 10\nreserve_pool_size = 1\nquery_wait_timeout = 30\n\
             max_db_connections = 100\nmax_user_connections = 100\nserver_lifetime = 100\n\
             [databases]\nshop = {database}\n[users]\nother = pool_size=99\napp = {user}\n"
        );
        let settings = read(&text).settings;
        (
            settings.pool_size,
            settings.reserve_pool_size,
            settings.query_wait_timeout.as_secs(),
            settings.max_db_connections,
            settings.max_user_connections,
            settings.server_lifetime.as_secs(),
        )
    };
    let database = "pool_size=20 reserve_pool=2 query_wait_timeout=40 max_db_connections=60 \
                    server_lifetime=50";
    let user = "pool_size=30 reserve_pool_size=3 query_wait_timeout=50 max_user_connections=70";
    assert_eq!(levels("", ""), (10, 1, 30, 100, 100, 100));
    assert_eq!(levels("", database), (20, 2, 40, 60, 100, 50));
    assert_eq!(levels(user, database), (30, 3, 50, 60, 70, 50));
    // What PgBouncer takes for not set.
    let unset = "pool_size=-1 query_wait_timeout=-1 max_db_connections=0 server_lifetime=0";
    assert_eq!(levels("pool_size=-1", unset), (10, 1, 30, 100, 100, 100));
}

#[test]
fn the_user_of_the_line_is_the_user_whose_line_counts() {
    let text = "[databases]\nshop = user=jobs\n[users]\napp = pool_size=1\njobs = pool_size=2\n";
    let pool = read(text);
    assert_eq!(pool.settings.pool_size, 2);
    assert_eq!(pool.connect_info.user.as_deref(), Some("jobs"));
}

#[test]
fn the_star_stands_for_a_database_without_a_line() {
    let text = "[databases]\n* = host=127.0.0.1\nother = host=10.0.0.1\n";
    assert_eq!(
        read(text).connect_info.to_string(),
        "postgres://app@127.0.0.1:5432/shop"
    );
    let text = "[databases]\n* = host=127.0.0.1 dbname=main\n";
    assert_eq!(read(text).connect_info.database.as_deref(), Some("main"));
    let text = "[databases]\n\"shop\" = host=127.0.0.1 dbname=a\nshop = dbname=b\n";
    assert_eq!(
        read(text).connect_info.to_string(),
        "postgres://app@/tmp:5432/b"
    );
}

#[test]
fn names_are_quoted_and_comments_begin_lines_only() {
    let text =
        "; one\n  # two\n[databases]\n\"my \"\"shop\"\"\" = host=127.0.0.1 dbname='a b' ; c=d\n";
    let err = PgBouncerIni::new(text)
        .user("app")
        .read("my \"shop\"")
        .unwrap_err();
    assert!(
        err.message()
            .contains("pgbouncer.ini:4: a word is no key=value"),
        "{err}"
    );
    let text = text.replace(" ; c=d", "");
    let pool = PgBouncerIni::new(&text)
        .user("app")
        .read("my \"shop\"")
        .unwrap();
    assert_eq!(pool.connect_info.database.as_deref(), Some("a b"));
}

#[test]
fn windows_line_ends_and_a_section_before_a_setting_on_a_line_are_read() {
    let pool = read("[pgbouncer] default_pool_size = 7\r\n[databases]\r\n\tshop\t=\tport=6000\r\n");
    assert_eq!((pool.settings.pool_size, pool.connect_info.port), (7, 6000));
}

#[test]
fn a_second_pgbouncer_section_begins_again_from_the_defaults() {
    let pool = read(
        "[databases]\nshop =\n[pgbouncer]\ndefault_pool_size = 7\n[users]\n[pgbouncer]\n\
         reserve_pool_size = 2\n",
    );
    assert_eq!(
        (pool.settings.pool_size, pool.settings.reserve_pool_size),
        (20, 2)
    );
    assert_eq!(ignored(&pool), ["4 default_pool_size"]);
}

#[test]
fn an_included_file_counts_where_it_stands_and_its_section_goes_on() {
    let load = |name: &str| match name {
        "dbs.ini" => Ok("[databases]\nshop = pool_size=9\n[users]\n".to_owned()),
        "loop.ini" => Ok("%include loop.ini".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let read = |text| {
        PgBouncerIni::new(text)
            .user("app")
            .include_with(load)
            .read("shop")
    };
    let pool = read("[pgbouncer]\n%include  dbs.ini \napp = pool_size=8\n").unwrap();
    assert_eq!(pool.settings.pool_size, 8);

    let err = read("%include none.ini\n%include loop.ini\n[databases]\nshop=\n").unwrap_err();
    assert_eq!(
        err.message(),
        "pgbouncer.ini:1: cannot include none.ini: entity not found; loop.ini:1: files include \
         each other more than 10 deep"
    );
    // Each file includes the next, up to the tenth.
    let chain = |deepest: u32| {
        let load = move |name: &str| match name.parse::<u32>() {
            Ok(number) if number < deepest => Ok(format!("%include {}", number + 1)),
            _ => Ok("[databases]\nshop =\n".to_owned()),
        };
        let ini = PgBouncerIni::new("%include 1").user("app");
        ini.include_with(load).read("shop")
    };
    assert!(chain(10).is_ok());
    assert!(chain(11).is_err());
    let often = "%include a\n".repeat(20);
    let load = |_: &str| Ok("%include a\n".repeat(20));
    let err = PgBouncerIni::new(&often)
        .user("app")
        .include_with(load)
        .read("shop");
    let err = err.unwrap_err();
    assert_eq!(err.message().matches("more than 1000 files").count(), 1);

    let problem = problems("%include dbs.ini\n");
    assert!(
        problem.contains("pgbouncer.ini:1: %include, and no way"),
        "{problem}"
    );
}

#[test]
fn what_only_a_proxy_has_comes_back_with_the_reason() {
    let pool = read(
        "[pgbouncer]\nlisten_port = 6432\nauth_type = md5\nquery_timeout = 5\npool_mode = Session\n\
         [databases]\nshop = auth_user=x load_balance_hosts=disable client_encoding=UTF8\n\
         other = client_encoding=LATIN1\n[users]\napp = client_idle_timeout=5\n\
         [peers]\n1 = host=/tmp/one\n",
    );
    let expected = [
        "2 listen_port",
        "3 auth_type",
        "4 query_timeout",
        "7 auth_user",
        "7 client_encoding",
        "7 load_balance_hosts",
        "10 client_idle_timeout",
    ];
    assert_eq!(ignored(&pool), expected);
    let text = pool
        .ignored
        .iter()
        .find(|it| it.name == "query_timeout")
        .unwrap();
    assert_eq!(
        text.to_string(),
        "pgbouncer.ini:4: query_timeout: set statement_timeout for the role or the database"
    );
}

#[test]
fn another_pool_mode_is_accepted_with_a_warning() {
    for (text, place) in [
        (
            "[pgbouncer]\npool_mode = transaction\n[databases]\nshop =\n",
            "2 pool_mode",
        ),
        ("[databases]\nshop = pool_mode=statement\n", "2 pool_mode"),
        (
            "[databases]\nshop =\n[users]\napp = pool_mode=TRANSACTION\n",
            "4 pool_mode",
        ),
    ] {
        assert_eq!(ignored(&read(text)), [place]);
    }
    // The user's line counts.
    let text = "[databases]\nshop = pool_mode=statement\n[users]\napp = pool_mode=session\n";
    assert_eq!(ignored(&read(text)), [""; 0]);
}

#[test]
fn clients_within_the_pool_leave_the_queue_alone() {
    let pool = read("[pgbouncer]\nmax_client_conn = 20\n[databases]\nshop =\n");
    assert_eq!(pool.settings.max_waiting, 0);
    assert_eq!(ignored(&pool), ["2 max_client_conn"]);
    let pool = read(
        "[pgbouncer]\nmax_client_conn = 90\nmax_user_client_connections = 80\n\
         [databases]\nshop = max_db_client_connections=70\n[users]\napp = max_user_client_connections=60\n",
    );
    assert_eq!(pool.settings.max_waiting, 40);
}

#[test]
fn the_check_query_has_pgbouncers_two_empty_values() {
    let check = |line: &str| {
        read(&format!("[pgbouncer]\n{line}\n[databases]\nshop =\n"))
            .settings
            .server_check_query
    };
    assert_eq!(check("server_check_query = <empty>"), Some(String::new()));
    assert_eq!(check("server_check_query ="), None);
    assert_eq!(
        check("server_check_query = select 1;"),
        Some("select 1;".to_owned())
    );
    let pool = read("[pgbouncer]\nserver_reset_query =\n[databases]\nshop =\n");
    assert_eq!(pool.settings.server_reset_query, "");
}

#[test]
fn the_minimum_is_capped_at_the_size_as_in_pgbouncer() {
    let pool = read("[databases]\nshop = min_pool_size=50 pool_size=5\n");
    assert_eq!(pool.settings.min_pool_size, 5);
}

#[test]
fn a_reserve_timeout_of_zero_turns_the_reserve_off_as_in_pgbouncer() {
    let pool = read("[pgbouncer]\nreserve_pool_timeout = 0\n[databases]\nshop = reserve_pool=5\n");
    assert_eq!(pool.settings.reserve_pool_size, 0);
    assert_eq!(ignored(&pool), ["4 reserve_pool"]);
}

#[test]
fn how_to_connect_is_read() {
    let pool = read(
        "[pgbouncer]\nunix_socket_dir = /run/pg\ntcp_keepidle = 5\ntcp_keepintvl = 6\ntcp_keepcnt = 7\n\
         tcp_user_timeout = 8500\n[databases]\n\
         shop = application_name=web datestyle='ISO, DMY' timezone=UTC port=6000\n",
    );
    assert_eq!(pool.connect_info.host, Host::Unix("/run/pg".into()));
    let options = pool.connect_options;
    assert_eq!(options.application_name, "web");
    let parameters = [("DateStyle", "ISO, DMY"), ("TimeZone", "UTC")];
    assert_eq!(
        options.parameters,
        parameters.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let tcp = options.tcp;
    assert_eq!(
        (
            tcp.keepalive_idle,
            tcp.keepalive_interval,
            tcp.keepalive_probes
        ),
        (SECOND * 5, SECOND * 6, 7)
    );
    assert_eq!(tcp.user_timeout, Duration::from_millis(8500));
}

#[test]
fn protection_never_falls_back_to_plain_text() {
    let tls = |line: &str, host: &str| {
        let text = format!("[pgbouncer]\n{line}\n[databases]\nshop = host={host}\n");
        read(&text).connect_info.tls
    };
    assert_eq!(tls("", "db.internal").mode, TlsMode::VerifyFull);
    assert_eq!(tls("", "127.0.0.1").mode, TlsMode::Disable);
    assert_eq!(tls("", "::ffff:127.0.0.1").mode, TlsMode::Disable);
    assert_eq!(tls("", "/run/pg").mode, TlsMode::Disable);
    assert_eq!(
        tls("server_tls_sslmode = require", "localhost").mode,
        TlsMode::Require
    );
    assert_eq!(
        tls("server_tls_sslmode = disable", "db").mode,
        TlsMode::Disable
    );
    let asked = tls("server_tls_ca_file = /etc/ca.pem", "localhost");
    assert_eq!(asked.mode, TlsMode::VerifyFull);
    assert_eq!(asked.roots, TlsRoots::File("/etc/ca.pem".into()));
    assert_eq!(asked.min_version, TlsVersion::V1_3);
    let older = tls("server_tls_protocols = tlsv1.2, tlsv1.3", "db");
    assert_eq!(older.min_version, TlsVersion::V1_2);

    let prefer = "[pgbouncer]\nserver_tls_sslmode = prefer\n[databases]\nshop = host=db\n";
    let problem = problems(prefer);
    assert!(
        problem.starts_with("pgbouncer.ini:2: server_tls_sslmode falls back"),
        "{problem}"
    );
    let own = TlsSettings::new(TlsMode::Require);
    let pool = PgBouncerIni::new(prefer)
        .user("app")
        .tls(own.clone())
        .read("shop")
        .unwrap();
    assert_eq!(pool.connect_info.tls, own);
    assert_eq!(ignored(&pool), ["2 server_tls_sslmode"]);
}

#[test]
fn a_password_comes_from_the_line_the_program_or_the_auth_file() {
    let load =
        |_: &str| Ok("\"app\" \"from file\"\n\"hash\" \"SCRAM-SHA-256$4096:x\"\n".to_owned());
    let text = "[pgbouncer]\nauth_file = users.txt\n[databases]\nshop = user=app\n\
                own = user=app password=line\nhash = user=hash\n";
    let read = |database| {
        PgBouncerIni::new(text)
            .include_with(load)
            .read(database)
            .unwrap()
    };
    let password = |pool: &PgBouncerPool| {
        let password = pool.connect_info.password.as_ref();
        password.map(|it| it.expose().to_owned())
    };
    assert_eq!(password(&read("shop")).as_deref(), Some("from file"));
    assert_eq!(password(&read("own")).as_deref(), Some("line"));
    assert_eq!(password(&read("hash")), None);
    assert_eq!(ignored(&read("hash")), ["2 auth_file"]);
    let given = PgBouncerIni::new(text)
        .password("given")
        .read("shop")
        .unwrap();
    assert_eq!(password(&given).as_deref(), Some("given"));
}
