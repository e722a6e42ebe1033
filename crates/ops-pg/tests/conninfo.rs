//! Connection URLs, read and written.

use std::path::PathBuf;
use std::time::Duration;

use ops_core::database::{
    ClientCertificate, ConnectInfo, Engine, Host, TlsMode, TlsRoots, TlsSettings, TlsVersion,
};
use ops_core::{ErrorKind, Report, Secret};
use ops_pg::connect::ChannelBinding;
use ops_pg::conninfo::{parse, parse_with_options, to_url};
use proptest::prelude::*;

fn tcp(host: &str) -> Host {
    Host::Tcp(host.to_owned())
}

#[track_caller]
fn refusal(url: &str) -> String {
    let err = parse_with_options(url)
        .map(|(info, _)| info)
        .expect_err(url);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{url}");
    assert!(
        !format!("{err:?}{}", Report(&err)).contains("canary"),
        "{url}: {err:?}"
    );
    err.to_string()
}

#[test]
fn every_part_is_percent_decoded() {
    let info = parse("postgresql://a%20b:p%40%2F%3A%25@db.internal:6543/sh%C3%B6p").unwrap();
    assert_eq!(info.engine, Engine::Postgres);
    assert_eq!(info.user.as_deref(), Some("a b"));
    assert_eq!(info.password.as_ref().map(Secret::expose), Some("p@/:%"));
    assert_eq!(info.host, tcp("db.internal"));
    assert_eq!(info.port, 6543);
    assert_eq!(info.database.as_deref(), Some("shöp"));
}

#[test]
fn what_is_absent_or_empty_has_its_default() {
    for url in [
        "postgres://localhost",
        "postgres://localhost:/",
        "postgres://:@localhost/?user=",
    ] {
        let info = parse(url).unwrap();
        assert_eq!((&info.host, info.port), (&tcp("localhost"), 5432), "{url}");
        assert!(info.user.is_none() && info.password.is_none() && info.database.is_none());
    }
}

#[test]
fn the_password_ends_at_the_first_at_sign_and_may_hold_a_colon_and_a_question_mark() {
    let info = parse("postgres://app:a:b?c=d@localhost/shop").unwrap();
    assert_eq!(info.password.as_ref().map(Secret::expose), Some("a:b?c=d"));
    assert_eq!(info.host, tcp("localhost"));
}

#[test]
fn a_plus_sign_is_a_plus_sign() {
    assert_eq!(
        parse("postgres://a+b@localhost").unwrap().user.as_deref(),
        Some("a+b")
    );
}

#[test]
fn an_ipv6_address_stands_in_brackets() {
    let info = parse("postgres://[2001:db8::1]:6543/shop").unwrap();
    assert_eq!((info.host, info.port), (tcp("2001:db8::1"), 6543));
    assert_eq!(parse("postgres://[::1]").unwrap().host, tcp("::1"));
}

#[test]
fn a_socket_is_a_parameter_or_a_percent_encoded_host() {
    let folder = Host::Unix(PathBuf::from("/run/postgresql"));
    for url in [
        "postgres:///shop?host=/run/postgresql&port=6543",
        "postgres://%2Frun%2Fpostgresql:6543/shop",
        "postgres://other.host:6543/shop?host=%2Frun%2Fpostgresql",
    ] {
        let info = parse(url).unwrap();
        assert_eq!((&info.host, info.port), (&folder, 6543), "{url}");
        assert_eq!(info.database.as_deref(), Some("shop"), "{url}");
    }
}

#[test]
fn parameters_override_the_parts_before_them() {
    let url = "postgres://a:b@h:1/d?host=localhost&port=2&user=c&password=e&dbname=f&user=g";
    let info = parse(url).unwrap();
    assert_eq!((&info.host, info.port), (&tcp("localhost"), 2));
    assert_eq!(info.user.as_deref(), Some("g"));
    assert_eq!(info.password.as_ref().map(Secret::expose), Some("e"));
    assert_eq!(info.database.as_deref(), Some("f"));
}

#[test]
fn without_sslmode_only_the_own_machine_may_use_plain_text() {
    let mode = |url: &str| parse(url).unwrap().tls.mode;
    for url in [
        "postgres://localhost",
        "postgres://LOCALHOST",
        "postgres://127.0.0.1",
        "postgres://127.9.9.9",
        "postgres://[::1]",
        "postgres://[::ffff:127.0.0.1]",
        "postgres:///?host=/tmp",
    ] {
        assert_eq!(mode(url), TlsMode::Disable, "{url}");
    }
    for url in [
        "postgres://db.internal",
        "postgres://10.0.0.1",
        "postgres://localhost.example.com",
        "postgres://127.0.0.1.example.com",
        "postgres://localhost?sslrootcert=/ca.pem",
        "postgres://localhost?ssl_min_protocol_version=TLSv1.2",
        "postgres://localhost?sslcert=/c.pem&sslkey=/k.pem",
    ] {
        assert_eq!(mode(url), TlsMode::VerifyFull, "{url}");
    }
}

#[test]
fn tls_settings_are_those_of_libpq() {
    let url = "postgres://h?sslmode=verify-ca&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem\
               &ssl_min_protocol_version=TLSv1.2";
    let client = ClientCertificate {
        certificate: "/c.pem".into(),
        key: "/k.pem".into(),
    };
    let expected = TlsSettings::new(TlsMode::VerifyCa)
        .with_roots(TlsRoots::File("/ca.pem".into()))
        .with_client(client)
        .with_min_version(TlsVersion::V1_2);
    assert_eq!(parse(url).unwrap().tls, expected);

    let mode = |url: &str| parse(url).unwrap().tls.mode;
    assert_eq!(mode("postgres://h?ssl=true"), TlsMode::Require);
    assert_eq!(
        mode("postgres://h?sslmode=require&sslrootcert=/ca.pem"),
        TlsMode::VerifyCa
    );
    assert_eq!(mode("postgres://h?sslrootcert=system"), TlsMode::VerifyFull);
    assert_eq!(
        mode("postgres:///?host=/tmp&sslmode=verify-full"),
        TlsMode::Disable
    );
}

#[test]
fn what_falls_back_to_plain_text_is_refused_with_the_reason() {
    for mode in ["prefer", "allow"] {
        let text = refusal(&format!("postgres://h?sslmode={mode}"));
        assert!(text.contains(mode) && text.contains("plain text"), "{text}");
    }
    assert!(refusal("postgres://h?sslmode=require&sslrootcert=system").contains("verify-full"));
}

#[test]
fn settings_of_the_session_are_read_with_options_and_refused_without() {
    let url = "postgres://localhost/shop?application_name=shop%20web&connect_timeout=3\
               &channel_binding=require&options=-c%20search_path%3Da%5C%20b%20--work-mem%3D1MB";
    let (_, options) = parse_with_options(url).unwrap();
    assert_eq!(options.application_name, "shop web");
    assert_eq!(options.connect_timeout, Duration::from_secs(3));
    assert_eq!(options.channel_binding, ChannelBinding::Require);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        options.parameters,
        [pair("search_path", "a b"), pair("work_mem", "1MB")]
    );

    for name in [
        "application_name=x",
        "connect_timeout=3",
        "channel_binding=require",
    ] {
        let err = parse(&format!("postgres://localhost?{name}")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(
            err.to_string().contains(name.split_once('=').unwrap().0),
            "{err}"
        );
    }
}

#[test]
fn an_unknown_parameter_is_refused_by_name() {
    assert!(refusal("postgres://u:canary@h/d?pgbouncer=true").contains("pgbouncer"));
    assert!(refusal("postgres://h?SSLMODE=require").contains("SSLMODE"));
}

#[test]
fn several_hosts_are_refused() {
    for url in [
        "postgres://a,b/d",
        "postgres://a:1,b:2/d",
        "postgres://[::1],b/d",
        "postgres:///d?host=a,b",
        "postgres://a/d?port=1,2",
    ] {
        assert!(refusal(url).contains("several"), "{url}");
    }
}

#[test]
fn a_malformed_url_says_what_is_wrong_and_never_shows_its_password() {
    for (url, part) in [
        ("", "begin"),
        ("canary", "begin"),
        ("host=localhost password=canary", "begin"),
        ("mysql://u:canary@h/d", "begin"),
        ("postgres://", "no host"),
        ("postgres://u:canary@/d", "no host"),
        ("postgres://u:canary@h:/d?port=0", "port"),
        ("postgres://u:canary@h:99999/d", "port"),
        ("postgres://u:canary@h:+5/d", "port"),
        ("postgres://u:can/canary@h/d", "%2F"),
        ("postgres://u:1/canary@h/d", "%2F"),
        ("postgres://u:1/x?canary=canary=@h/d", "name=value"),
        ("postgres://u:1/x?canary=y@h/d", "not known"),
        ("postgres://u:p@canary@h/d", "%40"),
        ("postgres://u:canary%@h/d", "%25"),
        ("postgres://u:canary%4@h/d", "%25"),
        ("postgres://u:canary%zz@h/d", "%25"),
        ("postgres://u:canary%é@h/d", "%25"),
        ("postgres://u:canary%00@h/d", "zero"),
        ("postgres://u:canary%ff@h/d", "UTF-8"),
        ("postgres://u:canary@[::1/d", "bracket"),
        ("postgres://u:canary@[]/d", "empty"),
        ("postgres://u:canary@[::1]x/d", "IPv6"),
        ("postgres://u:canary@h h/d", "host"),
        ("postgres://u:p@h/d?canary", "name=value"),
        ("postgres://u:p@h/d?password=canary=", "name=value"),
        ("postgres://u:p@h/d?canary%20canary=x", "not known"),
        ("postgres://u:canary@h/d?sslmode=canary", "sslmode"),
        ("postgres://u:canary@h/d?sslcert=/c", "sslkey"),
        ("postgres://u:canary@h/d?ssl=1", "ssl"),
        (
            "postgres://u:canary@h/d?ssl_min_protocol_version=TLSv1",
            "TLSv1.2",
        ),
        (
            "postgres://u:canary@h/d?connect_timeout=0",
            "connect_timeout",
        ),
        (
            "postgres://u:canary@h/d?channel_binding=x",
            "channel_binding",
        ),
        ("postgres://u:canary@h/d?options=endpoint", "options"),
        ("postgres://u:canary@h/d?options=-c", "options"),
        ("postgres://u:canary@h/d?host=@abstract", "@"),
    ] {
        let text = refusal(url);
        assert!(text.contains(part), "{url}: {text}");
    }
}

#[test]
fn a_url_of_another_engine_is_not_written() {
    let info = ConnectInfo::new(Engine::Redis, tcp("h"), 6379);
    assert_eq!(to_url(&info).unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn word() -> impl Strategy<Value = String> {
    // Anything but the zero byte, which no text of PostgreSQL holds.
    proptest::collection::vec(any::<char>().prop_filter("zero", |c| *c != '\0'), 1..12)
        .prop_map(String::from_iter)
}

fn any_path() -> impl Strategy<Value = PathBuf> {
    word().prop_map(|name| PathBuf::from(format!("/{}", name.replace(',', ""))))
}

fn any_tls() -> impl Strategy<Value = TlsSettings> {
    let modes = [TlsMode::Disable, TlsMode::VerifyCa, TlsMode::VerifyFull];
    let client = (any_path(), any_path())
        .prop_map(|(certificate, key)| ClientCertificate { certificate, key });
    let versions = [TlsVersion::V1_2, TlsVersion::V1_3];
    (
        proptest::sample::select(modes.to_vec()),
        proptest::option::of(any_path()),
        proptest::option::of(client),
        proptest::sample::select(versions.to_vec()),
    )
        .prop_map(|(mode, roots, client, min_version)| {
            let mut tls = TlsSettings::new(mode)
                .with_roots(roots.map_or(TlsRoots::System, TlsRoots::File))
                .with_min_version(min_version);
            tls.client = client;
            tls
        })
}

fn any_info() -> impl Strategy<Value = ConnectInfo> {
    let name = "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}".prop_map(Host::Tcp);
    let v6 = any::<std::net::Ipv6Addr>().prop_map(|address| Host::Tcp(address.to_string()));
    let over_tcp = (prop_oneof![name, v6], any_tls());
    let over_socket =
        any_path().prop_map(|folder| (Host::Unix(folder), TlsSettings::new(TlsMode::Disable)));
    (
        prop_oneof![over_tcp, over_socket],
        1..=u16::MAX,
        proptest::option::of(word()),
        proptest::option::of(word()),
        proptest::option::of(word()),
    )
        .prop_map(|((host, tls), port, user, password, database)| {
            let mut info = ConnectInfo::new(Engine::Postgres, host, port).with_tls(tls);
            info.user = user;
            info.password = password.map(Secret::new);
            info.database = database;
            info
        })
}

proptest! {
    #[test]
    fn a_written_url_reads_back_as_the_same_settings(info in any_info()) {
        let back = parse(to_url(&info).unwrap().expose()).unwrap();
        prop_assert_eq!(&back.host, &info.host);
        prop_assert_eq!(back.port, info.port);
        prop_assert_eq!(&back.user, &info.user);
        prop_assert_eq!(
            back.password.as_ref().map(Secret::expose),
            info.password.as_ref().map(Secret::expose)
        );
        prop_assert_eq!(&back.database, &info.database);
        prop_assert_eq!(&back.tls, &info.tls);
    }

    #[test]
    fn no_text_whatever_makes_it_panic(rest in "\\PC{0,60}") {
        let _ = parse(&rest);
        let _ = parse(&format!("postgres://{rest}"));
        let _ = parse_with_options(&format!("postgres://h/d?options={rest}"));
    }
}
