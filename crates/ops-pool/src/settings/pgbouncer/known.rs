//! Every setting of PgBouncer, and what becomes of it here.

use super::ini::Section;

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has its meaning.
    Applies,
    /// It has none here, for this reason.
    Ignored(&'static str),
}

use Fate::{Applies, Ignored};

const CLIENTS: Fate = Ignored("callers are in the same process: the pool accepts no connections");
const LOGIN: Fate = Ignored("callers are in the same process: nobody logs in to the pool");
const PROCESS: Fate = Ignored("the pool has no process of its own");
const LOG: Fate = Ignored("the pool has no log of its own: its events go to tracing");
const CONSOLE: Fate = Ignored("the pool has no console; see SessionPool::show_pools");
const PACKETS: Fate = Ignored("the pool stands beside the data's path, not in it");
const NAMES: Fate = Ignored("the operating system looks names up for each new connection");
const MANY: Fate =
    Ignored("a pool is of one database and one user, and lives as long as its handle");
const CIPHERS: Fate = Ignored("the TLS library chooses among its own ciphers, all of them strong");
const STATEMENT: Fate = Ignored("set statement_timeout for the role or the database");
const IN_TRANSACTION: Fate =
    Ignored("set idle_in_transaction_session_timeout for the role or the database");
const TRANSACTION: Fate = Ignored("set transaction_timeout for the role or the database");
const HELD: Fate = Ignored("a session is its holder's until it is given back");

/// The settings of `[pgbouncer]`, in alphabetical order.
const PGBOUNCER: &[(&str, Fate)] = &[
    ("admin_users", CONSOLE),
    ("application_name_add_host", CLIENTS),
    ("auth_dbname", LOGIN),
    ("auth_file", Applies),
    ("auth_hba_file", LOGIN),
    ("auth_ident_file", LOGIN),
    ("auth_ldap_options", LOGIN),
    ("auth_query", LOGIN),
    ("auth_type", LOGIN),
    ("auth_user", LOGIN),
    ("autodb_idle_timeout", MANY),
    (
        "cancel_wait_timeout",
        Ignored("a cancel request does not wait for a connection of the pool"),
    ),
    ("client_idle_timeout", HELD),
    ("client_login_timeout", LOGIN),
    ("client_tls13_ciphers", CLIENTS),
    ("client_tls_ca_file", CLIENTS),
    ("client_tls_cert_file", CLIENTS),
    ("client_tls_ciphers", CLIENTS),
    ("client_tls_dheparams", CLIENTS),
    ("client_tls_ecdhcurve", CLIENTS),
    ("client_tls_key_file", CLIENTS),
    ("client_tls_protocols", CLIENTS),
    ("client_tls_sslmode", CLIENTS),
    ("conffile", PROCESS),
    ("default_pool_size", Applies),
    ("disable_pqexec", PACKETS),
    ("dns_max_ttl", NAMES),
    ("dns_nxdomain_ttl", NAMES),
    ("dns_zone_check_period", NAMES),
    ("idle_transaction_timeout", IN_TRANSACTION),
    ("ignore_startup_parameters", CLIENTS),
    ("job_name", PROCESS),
    ("listen_addr", CLIENTS),
    ("listen_backlog", CLIENTS),
    ("listen_port", CLIENTS),
    ("log_connections", LOG),
    ("log_disconnections", LOG),
    ("log_pooler_errors", LOG),
    ("log_stats", LOG),
    ("logfile", LOG),
    ("login_notify_message", CLIENTS),
    ("max_client_conn", Applies),
    ("max_db_client_connections", Applies),
    ("max_db_connections", Applies),
    ("max_packet_size", PACKETS),
    (
        "max_prepared_statements",
        Ignored("PgBouncer does not use it in session mode either: a session is one connection"),
    ),
    ("max_user_client_connections", Applies),
    ("max_user_connections", Applies),
    ("min_pool_size", Applies),
    ("peer_id", PROCESS),
    ("pidfile", PROCESS),
    ("pkt_buf", PACKETS),
    ("pool_idle_timeout", MANY),
    ("pool_mode", Applies),
    ("query_timeout", STATEMENT),
    (
        "query_wait_notify",
        Ignored("a caller that waits has no connection on which it could be told"),
    ),
    ("query_wait_timeout", Applies),
    ("reserve_pool_size", Applies),
    ("reserve_pool_timeout", Applies),
    ("resolv_conf", NAMES),
    ("sbuf_loopcnt", PACKETS),
    ("scram_iterations", LOGIN),
    ("server_check_delay", Applies),
    ("server_check_query", Applies),
    ("server_connect_timeout", Applies),
    ("server_fast_close", HELD),
    ("server_idle_timeout", Applies),
    ("server_lifetime", Applies),
    ("server_login_retry", Applies),
    ("server_reset_query", Applies),
    (
        "server_reset_query_always",
        Ignored("the reset query always runs in session mode"),
    ),
    ("server_round_robin", Applies),
    ("server_tls13_ciphers", CIPHERS),
    ("server_tls_ca_file", Applies),
    ("server_tls_cert_file", Applies),
    ("server_tls_ciphers", CIPHERS),
    ("server_tls_key_file", Applies),
    ("server_tls_protocols", Applies),
    ("server_tls_sslmode", Applies),
    ("service_name", PROCESS),
    ("so_reuseport", CLIENTS),
    ("stats_period", CONSOLE),
    ("stats_users", CONSOLE),
    ("suspend_timeout", CONSOLE),
    ("syslog", LOG),
    ("syslog_facility", LOG),
    ("syslog_ident", LOG),
    ("tcp_defer_accept", CLIENTS),
    ("tcp_keepalive", Applies),
    ("tcp_keepcnt", Applies),
    ("tcp_keepidle", Applies),
    ("tcp_keepintvl", Applies),
    (
        "tcp_socket_buffer",
        Ignored("the operating system chooses the buffers of a connection"),
    ),
    ("tcp_user_timeout", Applies),
    (
        "track_extra_parameters",
        Ignored("a session keeps its own parameters, and the reset query ends them"),
    ),
    ("transaction_timeout", TRANSACTION),
    ("unix_socket_dir", Applies),
    ("unix_socket_group", CLIENTS),
    ("unix_socket_mode", CLIENTS),
    ("user", PROCESS),
    ("verbose", LOG),
];

/// The keys of a line in `[databases]`.
const DATABASE: &[(&str, Fate)] = &[
    ("application_name", Applies),
    ("auth_dbname", LOGIN),
    ("auth_query", LOGIN),
    ("auth_user", LOGIN),
    (
        "client_encoding",
        Ignored("the driver speaks UTF8, and says so to the server"),
    ),
    ("connect_query", Applies),
    ("datestyle", Applies),
    ("dbname", Applies),
    ("host", Applies),
    (
        "load_balance_hosts",
        Ignored("the pool connects to one host"),
    ),
    ("max_db_client_connections", Applies),
    ("max_db_connections", Applies),
    ("min_pool_size", Applies),
    ("password", Applies),
    ("pool_mode", Applies),
    ("pool_size", Applies),
    ("port", Applies),
    ("query_wait_timeout", Applies),
    ("reserve_pool", Applies),
    ("reserve_pool_size", Applies),
    ("server_lifetime", Applies),
    ("target_session_attrs", Applies),
    ("timezone", Applies),
    ("user", Applies),
];

/// The keys of a line in `[users]`.
const USER: &[(&str, Fate)] = &[
    ("client_idle_timeout", HELD),
    ("idle_transaction_timeout", IN_TRANSACTION),
    ("max_user_client_connections", Applies),
    ("max_user_connections", Applies),
    ("pool_mode", Applies),
    ("pool_size", Applies),
    ("query_timeout", STATEMENT),
    ("query_wait_timeout", Applies),
    ("reserve_pool_size", Applies),
    ("transaction_timeout", TRANSACTION),
];

/// The keys of a line in `[peers]`.
const PEER: &[(&str, Fate)] = &[("host", PROCESS), ("pool_size", PROCESS), ("port", PROCESS)];

fn table(section: Section) -> &'static [(&'static str, Fate)] {
    match section {
        Section::PgBouncer => PGBOUNCER,
        Section::Databases => DATABASE,
        Section::Users => USER,
        Section::Peers => PEER,
    }
}

/// What becomes of a setting; None for one that PgBouncer does not know.
pub(super) fn fate(section: Section, name: &str) -> Option<Fate> {
    let table = table(section);
    table.iter().find(|it| it.0 == name).map(|it| it.1)
}

/// The setting whose name is the most like it, where one is at all.
pub(super) fn nearest(section: Section, name: &str) -> Option<&'static str> {
    let near = table(section)
        .iter()
        .map(|(known, _)| (distance(name, known), *known))
        .min()?;
    (near.0 <= near.1.len() / 2).then_some(near.1)
}

/// How many characters are to be inserted, removed or replaced.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, right) in row.iter_mut().skip(1).zip(to.chars()) {
            let replaced = diagonal + usize::from(left != right);
            diagonal = *cell;
            before = replaced.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_order_and_without_doubles() {
        for section in [
            Section::PgBouncer,
            Section::Databases,
            Section::Users,
            Section::Peers,
        ] {
            let names = table(section).iter().map(|it| it.0);
            assert!(names.clone().is_sorted(), "{section:?}");
            let mut names: Vec<_> = names.collect();
            names.dedup();
            assert_eq!(names.len(), table(section).len());
        }
    }

    #[test]
    fn the_distance_is_the_least_number_of_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("pool_sise", "pool_size", 1),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn the_nearest_name_is_told_where_there_is_one() {
        let nearest = |name| nearest(Section::PgBouncer, name);
        assert_eq!(nearest("defualt_pool_size"), Some("default_pool_size"));
        assert_eq!(nearest("server_life_time"), Some("server_lifetime"));
        assert_eq!(nearest("x"), None);
    }
}
