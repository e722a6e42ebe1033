//! Settings for common limits.

use super::PoolSettings;

impl PoolSettings {
    /// For a limited number of clients on a limited number of connections: PgBouncer's
    /// `max_client_conn` over a `pool_size`, in session mode.
    ///
    /// In session mode a client that works has a connection of its own. With 50 clients on
    /// 40 connections, 40 are served, 10 wait, and one more is refused at once instead of
    /// making the queue longer. A `pool_size` of all 50 would let nobody wait, and take the
    /// whole of a server whose `max_connections` is 50; ask a [`Budget`](crate::Budget).
    ///
    /// ```
    /// use ops_pool::PoolSettings;
    ///
    /// let settings = PoolSettings::for_clients(50, 40);
    /// assert_eq!((settings.pool_size, settings.max_waiting), (40, 10));
    /// // Nobody has to wait.
    /// assert_eq!(PoolSettings::for_clients(50, 60).pool_size, 50);
    /// ```
    #[must_use]
    pub fn for_clients(clients: usize, connections: usize) -> Self {
        Self {
            pool_size: connections.min(clients),
            max_waiting: clients.saturating_sub(connections),
            ..Self::default()
        }
    }

    /// For an instance of a service that may have at most so many connections to a database:
    /// nine tenths of them for everyday, the rest as the reserve for callers that have
    /// waited for 5 s.
    ///
    /// The limit also holds for all pools of the same database and of the same user
    /// together, where they share a group.
    ///
    /// ```
    /// use ops_pool::PoolSettings;
    ///
    /// let settings = PoolSettings::per_instance(100);
    /// assert_eq!((settings.pool_size, settings.reserve_pool_size), (90, 10));
    /// assert_eq!(settings.most_connections(), 100);
    /// ```
    #[must_use]
    pub fn per_instance(connections: usize) -> Self {
        let reserve_pool_size = connections / 10;
        Self {
            pool_size: connections - reserve_pool_size,
            reserve_pool_size,
            max_db_connections: connections,
            ..Self::default()
        }
    }
}
