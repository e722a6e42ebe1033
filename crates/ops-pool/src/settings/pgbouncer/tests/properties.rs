use proptest::prelude::*;

use super::*;

/// Settings as a file can hold them.
fn settings() -> impl Strategy<Value = PoolSettings> {
    let size = 1_usize..500;
    let time = || (1_u64..10_000_000).prop_map(Duration::from_micros);
    let sql = "[A-Za-z0-9 ';=#]{0,30}".prop_map(|sql| sql.trim().to_owned());
    let connect = "[A-Za-z0-9 ';=#]{1,30}";
    (
        (size.clone(), 0_usize..500, 0_usize..500, 0_usize..500),
        (time(), time(), time(), time()),
        (time(), time(), any::<bool>(), sql.clone()),
        (prop::option::of(sql), prop::option::of(connect)),
    )
        .prop_map(|(sizes, times, more, queries)| {
            let (reset, check) = (more.3, queries.0);
            PoolSettings::new()
                .with_pool_size(sizes.0)
                .with_min_pool_size(sizes.1.min(sizes.0))
                .with_reserve_pool_size(sizes.2)
                .with_max_db_connections(if sizes.3 < sizes.0 { 0 } else { sizes.3 })
                .with_reserve_pool_timeout(times.0)
                .with_query_wait_timeout(times.0 + times.1)
                .with_server_lifetime(times.2)
                .with_server_idle_timeout(times.3)
                .with_server_login_retry(more.0)
                .with_server_connect_timeout(more.1)
                .with_server_round_robin(more.2)
                .with_server_reset_query(reset)
                .with_server_check_query(check.filter(|sql| sql != "<empty>"))
                .with_connect_query(queries.1)
        })
}

/// The file that says so.
fn ini(settings: &PoolSettings) -> String {
    let seconds = |span: Duration| span.as_secs_f64();
    let check = match settings.server_check_query.as_deref() {
        None => "",
        Some("") => "<empty>",
        Some(sql) => sql,
    };
    let connect = settings.connect_query.as_ref();
    let connect = connect.map(|sql| format!("connect_query='{}'", sql.replace('\'', "''")));
    format!(
        "[pgbouncer]\ndefault_pool_size={}\nmin_pool_size = {}\nreserve_pool_size = {}\n\
         max_db_connections = {}\nreserve_pool_timeout = {}\nquery_wait_timeout = {}\n\
         server_lifetime = {}\nserver_idle_timeout = {}\nserver_login_retry = {}\n\
         server_connect_timeout = {}\nserver_round_robin = {}\nserver_reset_query = {}\n\
         server_check_query = {check}\n[databases]\nshop = {}\n",
        settings.pool_size,
        settings.min_pool_size,
        settings.reserve_pool_size,
        settings.max_db_connections,
        seconds(settings.reserve_pool_timeout),
        seconds(settings.query_wait_timeout),
        seconds(settings.server_lifetime),
        seconds(settings.server_idle_timeout),
        seconds(settings.server_login_retry),
        seconds(settings.server_connect_timeout),
        u8::from(settings.server_round_robin),
        settings.server_reset_query,
        connect.unwrap_or_default(),
    )
}

/// Everything that a line can be made of.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[databases]",
        "[users]",
        "[pgbouncer]",
        "[",
        "]",
        "=",
        " ",
        "\n",
        "'",
        "\"",
        "shop",
        "app",
        "host",
        "port",
        "pool_size",
        "pool_mode",
        "%include a",
        ";",
        "#",
        "*",
        "5",
        "-1",
        "\0",
        "\r",
    ];
    prop_oneof![
        4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(settings in settings()) {
        let read = PgBouncerIni::new(&ini(&settings)).user("app").read("shop").unwrap().settings;
        prop_assert_eq!(read, settings);
    }

    #[test]
    fn no_file_makes_it_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        let load = |_: &str| Ok(text.clone());
        let _ = PgBouncerIni::new(&text).user("app").include_with(load).read("shop");
        let _ = PgBouncerIni::new(&text).user("app").read("shop");
    }

    #[test]
    fn however_a_password_is_mangled_no_error_holds_it(
        before in "[a-z= ]{0,20}",
        quote in "'?",
        mangled in prop::collection::vec(prop_oneof!["[ ='#;\"]{1,3}", Just("c4nary".to_owned())], 1..8),
    ) {
        let mangled = mangled.concat();
        let text = format!("[databases]\nshop = {before} password={quote}{mangled}\n");
        if let Err(err) = PgBouncerIni::new(&text).user("app").read("shop") {
            prop_assert!(!format!("{err:?} {err}").contains("c4nary"), "{}: {}", text, err);
        }
    }
}
