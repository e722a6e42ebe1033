//! The pool in the rows of PgBouncer's console.

use std::time::Duration;

use ops_core::Timestamp;

use super::Shared;
use super::state::{Caller, Slot};
use crate::config::Target;
use crate::core::{Now, ServerId, ServerState, Settings, Standing};
use crate::show::{ConfigRow, DatabasesRow, ListsCounts, ListsRow, PoolsRow, SocketRow};

const SESSION: &str = "session";

/// The present on both clocks.
#[derive(Clone, Copy)]
struct Present {
    now: Now,
    wall: Timestamp,
}

impl Present {
    fn at(self, then: Now) -> Timestamp {
        self.wall.saturating_sub(self.now.since(then))
    }
}

impl Shared {
    fn present(&self) -> Present {
        Present {
            now: self.now(),
            wall: self.config.clock.now(),
        }
    }

    pub(crate) fn show_pools(&self) -> PoolsRow {
        let now = self.now();
        let state = self.lock();
        let core = state.core();
        let (counts, used) = (core.counts(), core.used(now));
        let (maxwait, maxwait_us) = split(core.longest_wait(now).unwrap_or_default());
        PoolsRow {
            database: self.config.target.database.clone(),
            user: self.config.target.user.clone(),
            cl_active: counts.active,
            cl_waiting: core.waiting(),
            sv_active: counts.active,
            sv_idle: counts.idle - used,
            sv_used: used,
            sv_tested: counts.resetting,
            sv_login: counts.connecting,
            maxwait,
            maxwait_us,
            pool_mode: SESSION,
            ..PoolsRow::default()
        }
    }

    pub(crate) fn show_databases(&self) -> DatabasesRow {
        let state = self.lock();
        let core = state.core();
        let (sizes, counts) = (core.settings(), core.counts());
        let Target {
            host,
            port,
            database,
            user,
            ..
        } = &self.config.target;
        let settings = &self.config.settings;
        DatabasesRow {
            name: database.clone(),
            host: host.clone(),
            port: *port,
            database: database.clone(),
            force_user: Some(user.clone()),
            pool_size: sizes.pool_size,
            min_pool_size: sizes.min_pool_size,
            reserve_pool_size: sizes.reserve_pool_size,
            server_lifetime: settings.server_lifetime.as_secs(),
            pool_mode: Some(SESSION),
            max_connections: settings.max_db_connections,
            current_connections: counts.all(),
            max_client_connections: sizes.max_waiting.map_or(0, |most| most + limit(sizes)),
            current_client_connections: counts.active + core.waiting(),
            paused: core.paused(),
            disabled: core.draining(),
            ..DatabasesRow::default()
        }
    }

    pub(crate) fn show_lists(&self) -> Vec<ListsRow> {
        let state = self.lock();
        let counts = state.core().counts();
        let counts = ListsCounts {
            databases: 1,
            users: 1,
            pools: 1,
            used_clients: counts.active + state.core().waiting(),
            used_servers: counts.all(),
        };
        counts.rows()
    }

    pub(crate) fn show_config(&self) -> Vec<ConfigRow> {
        let mut settings = self.config.settings.clone();
        {
            let state = self.lock();
            let now = state.core().settings();
            settings.pool_size = now.pool_size;
            settings.min_pool_size = now.min_pool_size;
            settings.reserve_pool_size = now.reserve_pool_size;
        }
        let changeable = ["default_pool_size", "min_pool_size", "reserve_pool_size"];
        crate::show::config(&settings, |key| changeable.contains(&key))
    }

    pub(crate) fn show_servers(&self) -> Vec<SocketRow> {
        let present = self.present();
        let state = self.lock();
        let servers = state.core().servers();
        let check_delay = self.config.settings.check_delay();
        let mut rows: Vec<SocketRow> = servers
            .map(|(server, standing)| {
                let used =
                    |since: Now| check_delay.is_some_and(|delay| present.now.since(since) >= delay);
                let word = match standing.state {
                    ServerState::Connecting => "new",
                    ServerState::Idle { since } if used(since) => "used",
                    ServerState::Idle { .. } => "idle",
                    ServerState::Active => "active",
                    ServerState::Resetting => "tested",
                };
                let slot = state.slot(server);
                self.server_row(server, standing, word, slot, present)
            })
            .collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    fn server_row(
        &self,
        server: ServerId,
        standing: Standing,
        word: &'static str,
        slot: Option<&Slot>,
        present: Present,
    ) -> SocketRow {
        let about = slot.and_then(|slot| slot.about.as_ref());
        let held = slot.and_then(|slot| slot.holder.as_ref());
        let target = &self.config.target;
        SocketRow {
            kind: "S",
            addr: match (&target.host, target.user.is_empty()) {
                (Some(host), _) => host.clone(),
                (None, false) => "unix".to_owned(),
                (None, true) => String::new(),
            },
            port: target.port.into(),
            connect_time: about.map(|about| present.at(about.since)),
            request_time: held.map(|held| present.at(held.since)),
            close_needed: standing.close_needed,
            ptr: server.to_string(),
            link: held.map_or_else(String::new, |held| caller_name(held.caller.number)),
            remote_pid: about.map_or(0, |about| about.wire.backend_pid()),
            application_name: target.application_name.clone(),
            id: about.map_or(0, |about| about.number),
            ..self.socket(word)
        }
    }

    pub(crate) fn show_clients(&self) -> Vec<SocketRow> {
        let present = self.present();
        let state = self.lock();
        let mut rows = Vec::new();
        for (server, _) in state.core().servers() {
            let Some(held) = state.slot(server).and_then(|slot| slot.holder.as_ref()) else {
                continue;
            };
            rows.push(SocketRow {
                link: server.to_string(),
                request_time: Some(present.at(held.since)),
                ..self.caller_row("active", &held.caller, present)
            });
        }
        for caller in state.callers() {
            let (wait, wait_us) = split(present.now.since(caller.since));
            rows.push(SocketRow {
                wait,
                wait_us,
                ..self.caller_row("waiting", caller, present)
            });
        }
        rows.sort_by_key(|row| row.id);
        rows
    }

    fn caller_row(&self, state: &'static str, caller: &Caller, present: Present) -> SocketRow {
        let Caller {
            by, number, since, ..
        } = caller;
        SocketRow {
            kind: "C",
            connect_time: Some(present.at(*since)),
            request_time: Some(present.at(*since)),
            ptr: caller_name(*number),
            id: *number,
            addr: by.location.file().to_owned(),
            port: by.location.line(),
            application_name: by.label.as_deref().unwrap_or_default().to_owned(),
            ..self.socket(state)
        }
    }

    fn socket(&self, state: &'static str) -> SocketRow {
        SocketRow {
            user: self.config.target.user.clone(),
            database: self.config.target.database.clone(),
            replication: "none",
            state,
            ..SocketRow::default()
        }
    }
}

fn caller_name(number: u64) -> String {
    format!("c{number}")
}

fn split(span: Duration) -> (u64, u32) {
    (span.as_secs(), span.subsec_micros())
}

fn limit(settings: &Settings) -> usize {
    settings.pool_size + settings.reserve_pool_size
}
