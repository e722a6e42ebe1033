//! Choosing what counts for one database.

mod reading;
mod server;

use ops_core::{Error, Result};

use super::ini::{Lines, Section};
use super::values::{is_session_mode, seconds, seconds_if_set, switch, whole, whole_if_set};
use super::{PgBouncerIni, PgBouncerPool};
use crate::settings::PoolSettings;
use reading::{Reading, Values};

const OTHER_MODE: &str = "the pool behaves as session: a session is its holder's until it is \
                          given back, and not only for a transaction or a statement";
const NO_RESERVE: &str = "reserve_pool_timeout is 0, which turns the reserve off";
const RESERVE: [&str; 2] = ["reserve_pool_size", "reserve_pool"];
const MAX_CLIENTS: &str = "it is not more than the connections of the pool: nobody would wait, \
                           and the pool itself is the limit";

pub(super) fn assemble(ini: &PgBouncerIni<'_>, database: &str) -> Result<PgBouncerPool> {
    let lines = Lines::read(ini.text, &ini.file_name, ini.include.as_deref());
    let mut reading = Reading::new(lines);
    let main = reading.main();
    let (shop, name) = reading.database(database);
    let user = shop.text("user").or(ini.user.as_deref()).map(str::to_owned);
    let of_user = user.as_ref().map(|user| reading.line(Section::Users, user));
    if of_user.is_none() {
        reading.problem("no user: the database's line has no user=, and none was given");
    }
    let levels = Levels {
        user: of_user.flatten().unwrap_or_default(),
        database: shop,
        main,
    };
    let settings = settings(&mut reading, &levels);
    let (connect_info, connect_options) =
        server::server(&mut reading, &levels, ini, name.as_deref(), user.as_deref());
    for problem in settings.problems() {
        reading.problem(problem);
    }
    let ignored = reading
        .finish()
        .map_err(|problems| Error::invalid_config(problems).with_operation("pool.pgbouncer_ini"))?;
    Ok(PgBouncerPool {
        connect_info,
        connect_options,
        settings,
        ignored,
    })
}

/// The three places of a setting, the one that counts first in front.
pub(super) struct Levels {
    user: Values,
    database: Values,
    main: Values,
}

fn settings(reading: &mut Reading, levels: &Levels) -> PoolSettings {
    let Levels {
        user,
        database,
        main,
    } = levels;
    let defaults = PoolSettings::default();
    let mut settings = PoolSettings {
        pool_size: reading
            .line_value(user, "pool_size", whole_if_set)
            .or_else(|| reading.line_value(database, "pool_size", whole_if_set))
            .or_else(|| reading.value(main, "default_pool_size", whole))
            .unwrap_or(defaults.pool_size),
        min_pool_size: reading
            .line_value(database, "min_pool_size", whole_if_set)
            .or_else(|| reading.value(main, "min_pool_size", whole))
            .unwrap_or(defaults.min_pool_size),
        reserve_pool_size: reading
            .line_value(user, "reserve_pool_size", whole_if_set)
            .or_else(|| reading.line_value(database, "reserve_pool_size", whole_if_set))
            .or_else(|| reading.line_value(database, "reserve_pool", whole_if_set))
            .or_else(|| reading.value(main, "reserve_pool_size", whole))
            .unwrap_or(defaults.reserve_pool_size),
        reserve_pool_timeout: reading
            .value(main, "reserve_pool_timeout", seconds)
            .unwrap_or(defaults.reserve_pool_timeout),
        max_db_connections: limit(reading, database, main, "max_db_connections"),
        max_user_connections: limit(reading, user, main, "max_user_connections"),
        server_round_robin: reading
            .value(main, "server_round_robin", switch)
            .unwrap_or(defaults.server_round_robin),
        server_reset_query: main
            .text("server_reset_query")
            .map_or(defaults.server_reset_query, str::to_owned),
        server_check_delay: reading
            .value(main, "server_check_delay", seconds)
            .unwrap_or(defaults.server_check_delay),
        server_check_query: check_query(main.text("server_check_query")),
        server_lifetime: reading
            // To PgBouncer, a database's 0 is no value.
            .line_value(database, "server_lifetime", seconds_if_set)
            .filter(|lifetime| !lifetime.is_zero())
            .or_else(|| reading.value(main, "server_lifetime", seconds))
            .unwrap_or(defaults.server_lifetime),
        server_idle_timeout: reading
            .value(main, "server_idle_timeout", seconds)
            .unwrap_or(defaults.server_idle_timeout),
        server_connect_timeout: reading
            .value(main, "server_connect_timeout", seconds)
            .unwrap_or(defaults.server_connect_timeout),
        server_login_retry: reading
            .value(main, "server_login_retry", seconds)
            .unwrap_or(defaults.server_login_retry),
        query_wait_timeout: reading
            .line_value(user, "query_wait_timeout", seconds_if_set)
            .or_else(|| reading.line_value(database, "query_wait_timeout", seconds_if_set))
            .or_else(|| reading.value(main, "query_wait_timeout", seconds))
            .unwrap_or(defaults.query_wait_timeout),
        connect_query: database.text("connect_query").map(str::to_owned),
        max_connecting: defaults.max_connecting,
        reset_timeout: defaults.reset_timeout,
        cancel_timeout: defaults.cancel_timeout,
        max_waiting: defaults.max_waiting,
    };
    // PgBouncer never keeps more than it may open.
    settings.min_pool_size = settings.min_pool_size.min(settings.most_connections());
    if settings.reserve_pool_size > 0 && settings.reserve_pool_timeout.is_zero() {
        settings.reserve_pool_size = 0;
        reading.ignore_everywhere([user, database, main], RESERVE, NO_RESERVE);
    }
    bound_the_queue(reading, levels, &mut settings);
    mode(reading, levels);
    settings
}

/// A limit of a line; zero or less there is as if it were not there.
fn limit(reading: &mut Reading, line: &Values, main: &Values, name: &'static str) -> usize {
    let of_line = reading.line_value(line, name, whole_if_set);
    let of_all = reading.value(main, name, whole).unwrap_or_default();
    of_line.filter(|limit| *limit > 0).unwrap_or(of_all)
}

fn check_query(text: Option<&str>) -> Option<String> {
    match text {
        None | Some("<empty>") => Some(String::new()),
        Some("") => None,
        Some(sql) => Some(sql.to_owned()),
    }
}

/// The limits on clients, of which each has a session or waits for one.
fn bound_the_queue(reading: &mut Reading, levels: &Levels, settings: &mut PoolSettings) {
    let Levels {
        user,
        database,
        main,
    } = levels;
    let all = reading.value(main, "max_client_conn", whole);
    let of_database = limit(reading, database, main, "max_db_client_connections");
    let of_user = limit(reading, user, main, "max_user_client_connections");
    let most = [of_database, of_user]
        .into_iter()
        .filter(|limit| *limit > 0)
        .chain(all)
        .min();
    let Some(clients) = most else { return };
    match clients.checked_sub(settings.most_connections()) {
        Some(waiting) if waiting > 0 => settings.max_waiting = waiting,
        _ => reading.ignore_everywhere(
            [main, database, user],
            [
                "max_client_conn",
                "max_db_client_connections",
                "max_user_client_connections",
            ],
            MAX_CLIENTS,
        ),
    }
}

fn mode(reading: &mut Reading, levels: &Levels) {
    for level in [&levels.user, &levels.database, &levels.main] {
        if let Some(session) =
            reading.line_value(level, "pool_mode", |it| is_session_mode(it).map(Some))
        {
            if !session {
                reading.ignore(level, "pool_mode", OTHER_MODE);
            }
            return;
        }
    }
}
