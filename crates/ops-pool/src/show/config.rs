//! `SHOW CONFIG`.

use std::time::Duration;

use super::row;
use crate::settings::PoolSettings;

row! {
    /// A row of `SHOW CONFIG`.
    ConfigRow {
        /// The setting's name.
        key: &'static str => Text,
        /// Its value.
        value: String => Text,
        /// Its default.
        default: String => Text,
        /// `yes` where it can be changed while the pool runs.
        changeable: &'static str => Text,
    }
}

/// The settings as `SHOW CONFIG` shows them, in alphabetical order; those that this pool has
/// and PgBouncer has not are among them. `changeable` tells which can be changed while the
/// pool runs.
#[must_use]
pub fn config(settings: &PoolSettings, changeable: impl Fn(&str) -> bool) -> Vec<ConfigRow> {
    let defaults = values(&PoolSettings::default());
    let rows = values(settings).into_iter().zip(defaults);
    let mut rows: Vec<_> = rows
        .map(|((key, value), (_, default))| ConfigRow {
            key,
            value,
            default,
            changeable: if changeable(key) { "yes" } else { "no" },
        })
        .collect();
    rows.sort_by_key(|row| row.key);
    rows
}

fn values(settings: &PoolSettings) -> [(&'static str, String); 20] {
    let PoolSettings {
        pool_size,
        min_pool_size,
        reserve_pool_size,
        reserve_pool_timeout,
        max_db_connections,
        max_user_connections,
        server_round_robin,
        server_reset_query,
        server_check_delay,
        server_check_query,
        server_lifetime,
        server_idle_timeout,
        server_connect_timeout,
        server_login_retry,
        query_wait_timeout,
        connect_query,
        max_connecting,
        reset_timeout,
        cancel_timeout,
        max_waiting,
    } = settings;
    let number = usize::to_string;
    // PgBouncer tells the empty query apart from no query.
    let check_query = match server_check_query.as_deref() {
        None => String::new(),
        Some("") => "<empty>".to_owned(),
        Some(sql) => sql.to_owned(),
    };
    [
        ("default_pool_size", number(pool_size)),
        ("min_pool_size", number(min_pool_size)),
        ("reserve_pool_size", number(reserve_pool_size)),
        ("reserve_pool_timeout", seconds(*reserve_pool_timeout)),
        ("max_db_connections", number(max_db_connections)),
        ("max_user_connections", number(max_user_connections)),
        (
            "server_round_robin",
            u8::from(*server_round_robin).to_string(),
        ),
        ("server_reset_query", server_reset_query.clone()),
        ("server_check_delay", seconds(*server_check_delay)),
        ("server_check_query", check_query),
        ("server_lifetime", seconds(*server_lifetime)),
        ("server_idle_timeout", seconds(*server_idle_timeout)),
        ("server_connect_timeout", seconds(*server_connect_timeout)),
        ("server_login_retry", seconds(*server_login_retry)),
        ("query_wait_timeout", seconds(*query_wait_timeout)),
        ("connect_query", connect_query.clone().unwrap_or_default()),
        ("max_connecting", number(max_connecting)),
        ("reset_timeout", seconds(*reset_timeout)),
        ("cancel_timeout", seconds(*cancel_timeout)),
        ("max_waiting", number(max_waiting)),
    ]
}

/// Seconds, with a fraction where there is one.
fn seconds(span: Duration) -> String {
    span.as_secs_f64().to_string()
}
