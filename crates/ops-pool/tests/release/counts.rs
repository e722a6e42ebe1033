//! What a pool's taps count, over a fake server and a real one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::SinkExt;
use ops_core::{Result, async_trait};
use ops_pg::connect::{ConnectOptions, Connector};
use ops_pool::{
    Connect, Connected, OnDirty, Released, Reset, SessionPool, Tap, TapCountsSnapshot, Wire,
};
use ops_testkit::Pg;
use tokio::time::sleep;
use tokio_postgres::CancelToken;

use crate::backend::Backend;
use crate::{CLEAN, over};

/// Connects to a real server, and keeps what each tap tells.
#[derive(Debug)]
struct Listening {
    connector: Connector,
    wires: Mutex<Vec<Arc<Wire>>>,
}

impl Listening {
    fn wire(&self) -> Arc<Wire> {
        let wires = self.wires.lock().unwrap();
        let [wire] = wires.as_slice() else {
            panic!("{} connections", wires.len())
        };
        Arc::clone(wire)
    }

    fn counts(&self) -> TapCountsSnapshot {
        self.wire().counts().snapshot()
    }

    fn last(&self) -> Option<String> {
        self.wire()
            .last_command()
            .map(|command| command.to_string())
    }
}

#[async_trait]
impl Connect for Listening {
    async fn connect(&self) -> Result<Connected> {
        let wrap = |stream| {
            let (tap, wire) = Tap::new(stream);
            self.wires.lock().unwrap().push(wire);
            tap
        };
        let (client, connection) = self.connector.connect_with(wrap).await?;
        let wire = self.wires.lock().unwrap().last().cloned().unwrap();
        Ok(Connected::new(client, connection, wire))
    }

    async fn cancel(&self, token: &CancelToken) -> Result<()> {
        self.connector.cancel(token).await
    }
}

async fn listening(pg: &Pg) -> Arc<Listening> {
    let info = pg.connect_info("postgres");
    let options = ConnectOptions::default();
    let connector = Connector::new(&info, &options).await.unwrap();
    Arc::new(Listening {
        connector,
        wires: Mutex::default(),
    })
}

#[tokio::test]
async fn a_real_session_counts_what_its_caller_does() {
    let Some(pg) = Pg::start().await else { return };
    for reset in CLEAN.into_iter().chain([Reset::None]) {
        let server = listening(&pg).await;
        let builder = SessionPool::builder_with(Arc::clone(&server) as Arc<dyn Connect>);
        let pool = builder.pool_size(1).reset(reset.clone()).build().unwrap();
        let mut session = pool.acquire().await.unwrap();
        assert_eq!(server.counts(), TapCountsSnapshot::default());
        assert_eq!(server.last(), None);

        session
            .batch_execute("CREATE TEMPORARY TABLE goods (id int)")
            .await
            .unwrap();
        assert_eq!(server.last().as_deref(), Some("CREATE TABLE"));
        let transaction = session.transaction().await.unwrap();
        let insert = "INSERT INTO goods SELECT generate_series(1, $1::int)";
        // Prepared, and bound.
        transaction.execute(insert, &[&1000_i32]).await.unwrap();
        assert_eq!(server.last().as_deref(), Some("INSERT"));
        assert!(server.wire().is_idle_in_transaction());
        transaction.commit().await.unwrap();
        assert!(!server.wire().is_idle_in_transaction());
        let before = server.counts();
        // The table, BEGIN, the statement and its execution, COMMIT.
        assert_eq!((before.queries, before.transactions), (5, 2), "{reset:?}");
        assert_eq!((before.parses, before.binds), (1, 1));

        let rows = session.query("TABLE goods", &[]).await.unwrap();
        assert_eq!(rows.len(), 1000);
        let after = server.counts();
        assert!(after.bytes_from_server > before.bytes_from_server + 1000 * 11);
        assert!(after.bytes_to_server < before.bytes_to_server + 200);
        session
            .batch_execute("SELECT pg_sleep(0.05)")
            .await
            .unwrap();
        let slept = server.counts();
        assert!(slept.query_time > after.query_time);
        assert!(slept.transaction_time > after.transaction_time);

        let sink = session.copy_in("COPY goods FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(&b"7\n"[..]).await.unwrap();
        assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
        assert_eq!(server.last().as_deref(), Some("COPY"));
        let copied = server.counts();
        // Prepared, and run.
        assert_eq!(copied.queries, slept.queries + 2);

        assert_eq!(session.release().await, Released::Clean);
        let session = pool.acquire().await.unwrap();
        // The driver closes its statement late.
        let mut now = server.counts();
        now.bytes_to_server = copied.bytes_to_server;
        now.bytes_from_server = copied.bytes_from_server;
        assert_eq!((now, server.last()), (copied, None), "{reset:?}");
        let most = copied.bytes_from_server + 11;
        assert!(server.counts().bytes_from_server <= most, "{reset:?}");
        session.batch_execute("SELECT 1").await.unwrap();
        assert_eq!(server.counts().queries, copied.queries + 1, "{reset:?}");
        assert_eq!(server.last().as_deref(), Some("SELECT"));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_pool_undoes_is_the_callers_and_how_it_does_so_is_not() {
    let backend = Backend::new();
    let builder = over(&backend).on_dirty(OnDirty::Rollback);
    let pool = builder.build().unwrap();
    let session = pool.acquire().await.unwrap();
    session.batch_execute("BEGIN").await.unwrap();
    let query = session.batch_execute("HANG");
    let begun = tokio::time::timeout(Duration::from_millis(500), query).await;
    assert!(begun.is_err());
    assert_eq!(session.release().await, Released::RolledBack);
    let expected = ["BEGIN", "HANG", "canceled", "ROLLBACK", "DISCARD ALL"];
    assert_eq!(backend.log(), expected);
    let wire = backend.wires().pop().unwrap();
    let counts = wire.counts().snapshot();
    assert_eq!((counts.queries, counts.transactions), (2, 1));
    let least = Duration::from_millis(500);
    assert!(counts.query_time >= least && counts.transaction_time >= least);
}

#[tokio::test(start_paused = true)]
async fn counts_of_a_pool_are_the_sum_over_its_connections() {
    let backend = Backend::new();
    let pool = over(&backend).pool_size(3).build().unwrap();
    let work = (0..30).map(|_| async {
        let session = pool.acquire().await.unwrap();
        session.batch_execute("SLEEP 10").await.unwrap();
        sleep(Duration::from_millis(90)).await;
    });
    futures_util::future::join_all(work).await;
    let wires = backend.wires();
    assert_eq!(wires.len(), 3);
    let all: TapCountsSnapshot = wires.iter().map(|it| it.counts().snapshot()).sum();
    assert_eq!((all.queries, all.transactions), (30, 30));
    // tokio's timers are exact to a millisecond.
    let (least, most) = (Duration::from_millis(300), Duration::from_millis(340));
    assert!(all.query_time >= least && all.query_time < most, "{all:?}");
    assert_eq!(all.bytes_to_server, 30 * (5 + 9));
}
