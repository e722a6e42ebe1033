use super::*;

#[test]
fn every_problem_is_told_with_its_line() {
    let text = "early = 1\n[pgbouncer]\ndefault_pool_sise = 5\nserver_lifetime = 1h\nno equals\n\
                [datbases]\nshop = host=x\n[databases]\nother = prot=1\nshop = port=0 host=a,b \
                target_session_attrs=read-write\npgbouncer = host=x\n[users]\napp = pool_mode=fast\n\
                [users\n";
    let expected = [
        "pgbouncer.ini:1: a setting stands before any section",
        "pgbouncer.ini:3: default_pool_sise is no setting of PgBouncer's; the nearest is \
         default_pool_size",
        "pgbouncer.ini:4: server_lifetime is not a number of seconds",
        "pgbouncer.ini:5: neither a section nor a setting: there is no =",
        "pgbouncer.ini:6: the section is none of databases, users, pgbouncer and peers",
        "pgbouncer.ini:9: prot is no setting of PgBouncer's; the nearest is port",
        "pgbouncer.ini:10: the host is a list, and a pool connects to one host",
        "pgbouncer.ini:10: port is not a port",
        "pgbouncer.ini:10: target_session_attrs is not any: a pool takes the server that it is \
         told, whatever its role",
        "pgbouncer.ini:11: pgbouncer is the name of PgBouncer's own console",
        "pgbouncer.ini:13: pool_mode is none of session, transaction and statement",
        "pgbouncer.ini:14: a section lacks its closing bracket",
    ];
    let problems = problems(text);
    let found: Vec<_> = problems.split("; pgb").collect();
    assert_eq!(problems, expected.join("; "), "{found:#?}");
}

#[test]
fn contradictions_of_the_settings_are_problems_too() {
    let text = "[databases]\nshop = pool_size=0 reserve_pool_size=1\n[pgbouncer]\n\
                server_login_retry = 0\nquery_wait_timeout = 5\n";
    assert_eq!(
        problems(text),
        "pool_size is 0: nobody would ever get a session; server_login_retry is 0: a server that \
         is down would be stormed; reserve_pool_timeout is not shorter than query_wait_timeout: \
         the reserve would never be used"
    );
    assert!(problems("[databases]\nother =\n").contains("[databases] has neither shop nor *"));
    let err = PgBouncerIni::new("[databases]\nshop =\n")
        .read("shop")
        .unwrap_err();
    assert!(err.message().contains("no user"), "{err}");
}

#[test]
fn no_error_and_no_debug_holds_a_password() {
    const CANARY: &str = "c4nary";
    for text in [
        "[databases]\nshop = password=c4nary host\n",
        "[databases]\nshop = password=my c4nary=x\n",
        "[databases]\nshop = password=my c4nary\n",
        "[databases]\nshop = password='c4nary\n",
        "[databases]\nshop = pool_size=c4nary port=c4nary\n",
        "[databases]\nshop = host=c4nary,c4nary\n",
        "[pgbouncer]\ndefault_pool_size = c4nary\nserver_lifetime = c4nary\nc4nary\n",
        "c4nary = 5\n[c4nary]\n",
        "[databases]\n\"c4nary = 5\n",
    ] {
        let ini = PgBouncerIni::new(text).user("app");
        assert!(!format!("{ini:?}").contains(CANARY));
        let err = ini.read("shop").unwrap_err();
        assert!(!format!("{err} {err:?}").contains(CANARY), "{err}");
    }
    let pool = read("[databases]\nshop = password=c4nary auth_query=c4nary\n");
    assert!(!format!("{pool:?} {}", pool.connect_info).contains(CANARY));
    let ini = PgBouncerIni::new("").password("c4nary");
    assert!(!format!("{ini:?}").contains(CANARY));
}
