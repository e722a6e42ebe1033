//! The rows that tell of a moment.

use ops_core::Timestamp;

use super::row;

row! {
    /// A row of `SHOW POOLS`.
    PoolsRow {
        /// The database.
        database: String => Text,
        /// The user.
        user: String => Text,
        /// Callers that have a session.
        cl_active: usize => Int4,
        /// Callers in the queue.
        cl_waiting: usize => Int4,
        /// Cancel requests of callers that are on their way.
        cl_active_cancel_req: usize => Int4,
        /// Cancel requests of callers that wait.
        cl_waiting_cancel_req: usize => Int4,
        /// Connections in the hands of callers.
        sv_active: usize => Int4,
        /// Connections that carry a cancel request.
        sv_active_cancel: usize => Int4,
        /// Connections whose query is being canceled.
        sv_being_canceled: usize => Int4,
        /// Connections that nobody uses.
        sv_idle: usize => Int4,
        /// Connections that were idle for longer than `server_check_delay`.
        sv_used: usize => Int4,
        /// Connections that are being reset or checked.
        sv_tested: usize => Int4,
        /// Connections that are being opened.
        sv_login: usize => Int4,
        /// How long the head of the queue has waited, in whole seconds.
        maxwait: u64 => Int4,
        /// The rest of that, in microseconds.
        maxwait_us: u32 => Int4,
        /// Always `session`.
        pool_mode: &'static str => Text,
        /// None for a pool of one host.
        load_balance_hosts: Option<&'static str> => Text,
    }
}

row! {
    /// A row of `SHOW CLIENTS`, which tells of a caller, and of `SHOW SERVERS`, which tells
    /// of a connection.
    SocketRow {
        /// `C` for a caller, `S` for a connection.
        kind as "type": &'static str => Text,
        /// The user.
        user: String => Text,
        /// The database.
        database: String => Text,
        /// Always `none`: a pool has no connections for replication.
        replication: &'static str => Text,
        /// `active` or `waiting` for a caller; `active`, `idle`, `used`, `tested`, `new`,
        /// `active_cancel` or `being_canceled` for a connection.
        state: &'static str => Text,
        /// For a caller, the file of the program in which it acquires. For a connection,
        /// the server's address, or `unix`.
        addr: String => Text,
        /// For a caller, the line in that file. For a connection, the server's port.
        port: u32 => Int4,
        /// The address on our side, where it is known.
        local_addr: String => Text,
        /// The port on our side, where it is known.
        local_port: u16 => Int4,
        /// When the caller came, or the connection was opened.
        connect_time: Option<Timestamp> => Text,
        /// When the session was asked for, or given out last.
        request_time: Option<Timestamp> => Text,
        /// How long the caller has waited, in whole seconds.
        wait: u64 => Int4,
        /// The rest of that, in microseconds.
        wait_us: u32 => Int4,
        /// Whether the connection is closed when it comes back.
        close_needed: bool => Int4,
        /// What identifies the caller or the connection.
        ptr: String => Text,
        /// The `ptr` of the connection that the caller has, or of the caller that has the
        /// connection. Empty without.
        link: String => Text,
        /// The process id of the connection's backend, where it is known.
        remote_pid: i32 => Int4,
        /// The TLS version and cipher; empty for plain text.
        tls: String => Text,
        /// For a caller its label, for a connection the application name.
        application_name: String => Text,
        /// Prepared statements that the pool keeps: none.
        prepared_statements: usize => Int4,
        /// A number that is not used again.
        id: u64 => Int4,
    }
}

row! {
    /// A row of `SHOW DATABASES`.
    DatabasesRow {
        /// The pool's name of the database.
        name: String => Text,
        /// The server's host; None for a Unix-domain socket.
        host: Option<String> => Text,
        /// The server's port.
        port: u16 => Int4,
        /// The server's name of the database.
        database: String => Text,
        /// The user that every connection has.
        force_user: Option<String> => Text,
        /// The most connections without the reserve.
        pool_size: usize => Int4,
        /// Connections that are kept.
        min_pool_size: usize => Int4,
        /// Connections beyond `pool_size`.
        reserve_pool_size: usize => Int4,
        /// In seconds.
        server_lifetime: u64 => Int4,
        /// Always `session`.
        pool_mode: Option<&'static str> => Text,
        /// None for a pool of one host.
        load_balance_hosts: Option<&'static str> => Text,
        /// The most connections of all pools of the database; 0 is no limit.
        max_connections: usize => Int4,
        /// Connections that stand or are being opened.
        current_connections: usize => Int4,
        /// The most callers, waiting or not; 0 is no limit.
        max_client_connections: usize => Int4,
        /// Callers, waiting or not.
        current_client_connections: usize => Int4,
        /// Whether the database is paused.
        paused: bool => Int4,
        /// Whether the database is disabled.
        disabled: bool => Int4,
    }
}

row! {
    /// A row of `SHOW LISTS`.
    ListsRow {
        /// What is counted.
        list: &'static str => Text,
        /// How many there are.
        items: usize => Int4,
    }
}

/// What `SHOW LISTS` counts that an in-process pool has. The rest is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListsCounts {
    /// Databases of the pools.
    pub databases: usize,
    /// Users of the pools.
    pub users: usize,
    /// Pools.
    pub pools: usize,
    /// Callers that have a session or wait for one.
    pub used_clients: usize,
    /// Connections that stand or are being opened.
    pub used_servers: usize,
}

impl ListsCounts {
    /// The rows, in PgBouncer's order.
    #[must_use]
    pub fn rows(self) -> Vec<ListsRow> {
        let Self {
            databases,
            users,
            pools,
            used_clients,
            used_servers,
        } = self;
        [
            ("databases", databases),
            ("users", users),
            ("peers", 0),
            ("pools", pools),
            ("peer_pools", 0),
            ("free_clients", 0),
            ("used_clients", used_clients),
            ("login_clients", 0),
            ("free_servers", 0),
            ("used_servers", used_servers),
            ("dns_names", 0),
            ("dns_zones", 0),
            ("dns_queries", 0),
            ("dns_pending", 0),
        ]
        .map(|(list, items)| ListsRow { list, items })
        .into()
    }
}
