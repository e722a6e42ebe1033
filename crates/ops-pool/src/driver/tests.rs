//! What a test over a whole pool cannot bring about for certain.

use std::panic::Location;

use ops_core::{Result, async_trait};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;

use super::*;
use crate::connect::Connect;
use crate::core::bench::{ACQUIRE, settings};
use crate::core::{Action, Core, LaneId, Now};
use crate::group::Groups;
use crate::lane::Lanes;
use crate::shared::{Answer, Holding};
use crate::tap::Tap;

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Connect for Nowhere {
    async fn connect(&self) -> Result<Connected> {
        Err(Error::new(ErrorKind::Unavailable, "nowhere"))
    }

    async fn cancel(&self, _: &CancelToken) -> Result<()> {
        Ok(())
    }
}

fn config() -> Config {
    Config {
        connect: Arc::new(Nowhere),
        database: String::new(),
        user: String::new(),
        query_wait_timeout: None,
        server_connect_timeout: Duration::from_secs(1),
        server_reset_query: "DISCARD ALL".to_owned(),
        resets: true,
        reset_deallocates: true,
        server_check_query: String::new(),
        lanes: Lanes::new(&[], 1, &mut |_| ()),
        groups: Groups::default(),
        shed: false,
        refuse_nested: false,
        leak_threshold: None,
        reset_timeout: Duration::from_secs(5),
    }
}

/// The id that every core gives to its first connection.
fn first_server() -> ServerId {
    let mut core = Core::new(settings(1));
    let actions: Vec<Action> = core.step(ACQUIRE, Now::default()).collect();
    let [Action::Wait(_), Action::Connect(server)] = actions[..] else {
        panic!("{actions:?}")
    };
    server
}

/// A connection to a server that says no more than its welcome.
async fn connection() -> (Line, Conn, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(4096);
    let server = tokio::spawn(async move {
        let length = far.read_u32().await.unwrap() as usize - 4;
        far.read_exact(&mut vec![0; length]).await.unwrap();
        let welcome = [b'R', 0, 0, 0, 8, 0, 0, 0, 0, b'Z', 0, 0, 0, 5, b'I'];
        far.write_all(&welcome).await.unwrap();
        far
    });
    let (tap, wire) = Tap::new(near);
    let mut login = tokio_postgres::Config::new();
    login.user("somebody").ssl_mode(SslMode::Disable);
    let (client, connection) = login.connect_raw(tap, NoTls).await.unwrap();
    let Connected {
        client,
        messages,
        wire,
    } = Connected::new(client, connection, wire);
    let line = Line {
        messages,
        cancel: client.cancel_token(),
        wire: Arc::clone(&wire),
    };
    let conn = Conn {
        server: first_server(),
        client,
        wire,
    };
    (line, conn, server.await.unwrap())
}

/// What a session has asked for may still be in the driver's channel when the session
/// comes back, and the order may overtake the task that would send it.
#[tokio::test(start_paused = true)]
async fn the_verdict_is_about_what_the_driver_has_not_sent_yet_too() {
    let (mut line, conn, _far) = connection().await;
    assert!(
        conn.client
            .batch_execute("SELECT pg_sleep(60)")
            .now_or_never()
            .is_none()
    );
    assert_eq!(
        conn.verdict(true),
        Verdict::Reusable,
        "the tap cannot know yet"
    );
    assert_eq!(
        line.reset(&config(), &conn).await,
        Err(CloseReason::QueryInFlight)
    );
}

/// `BEGIN; SELECT 1 / 0` as one simple query: the caller has the error, and the word that
/// the session is in a failed transaction is still on its way.
#[tokio::test(start_paused = true)]
async fn an_error_whose_end_is_not_here_is_left_to_the_reset_to_judge() {
    let (mut line, conn, mut far) = connection().await;
    assert!(
        conn.client
            .batch_execute("BEGIN; SELECT 1 / 0")
            .now_or_never()
            .is_none()
    );
    assert!(line.drive().now_or_never().is_none());
    far.write_all(&[b'E', 0, 0, 0, 5, 0]).await.unwrap();
    assert!(line.drive().now_or_never().is_none());
    assert_eq!(conn.verdict(true), Verdict::Reusable);
    let without_reset = Verdict::Close(CloseReason::InTransaction);
    assert_eq!(conn.verdict(false), without_reset);
}

/// Between the moment when a connection breaks and the moment when its task says so.
#[tokio::test(start_paused = true)]
async fn a_connection_that_just_broke_is_not_handed_out() {
    let (line, conn, _far) = connection().await;
    let shared = Shared::start(config(), settings(1), &Handle::current());
    let holding = Holding {
        label: None,
        location: Location::caller(),
        task: None,
    };
    let Ok(Answer::Wait(waiter)) = shared.acquire(LaneId::default(), None, &holding) else {
        panic!("nothing stands yet")
    };
    shared.connected(Box::new(conn), mpsc::unbounded_channel().0);
    shared.cancel_wait(waiter, false);
    assert_eq!(shared.snapshot().idle, 1);
    drop(line);
    assert!(matches!(
        shared.acquire(LaneId::default(), None, &holding),
        Ok(Answer::Wait(_))
    ));
    assert_eq!(
        (shared.snapshot().idle, shared.snapshot().connecting),
        (0, 1)
    );
}
