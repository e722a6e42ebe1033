//! What a test over a whole pool cannot bring about for certain.

use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use ops_core::{Result, SystemClock, async_trait};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{CancelToken, NoTls};

use super::*;
use crate::config::Target;
use crate::connect::Connect;
use crate::core::bench::{ACQUIRE, settings};
use crate::core::{Action, Core, LaneId, Now};
use crate::group::Groups;
use crate::lane::Lanes;
use crate::reset::Reset;
use crate::settings::PoolSettings;
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
        target: Target::default(),
        settings: PoolSettings::new(),
        clock: Arc::new(SystemClock),
        lanes: Lanes::new(&[], 1, &mut |_| ()),
        groups: Groups::default(),
        shed: false,
        refuse_nested: false,
        leak_threshold: None,
        reset: Reset::DiscardAll.plan(),
        on_dirty: OnDirty::Close,
    }
}

fn without_reset() -> Config {
    Config {
        reset: Reset::None.plan(),
        ..config()
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
    let token = client.cancel_token();
    let line = Line::new(messages, token, Arc::clone(&wire), Duration::from_secs(5));
    let conn = Conn {
        server: first_server(),
        client,
        wire,
        quiet: Arc::clone(line.quiet()),
        owes_reset: false,
        cancels: None,
        lease: Lease::none(),
        outcome: Released::Clean,
    };
    (line, conn, server.await.unwrap())
}

/// What a session has asked for may still be in the driver's channel when the session
/// comes back, and the order may overtake the task that would send it.
#[tokio::test(start_paused = true)]
async fn the_verdict_is_about_what_the_driver_has_not_sent_yet_too() {
    let (mut line, mut conn, _far) = connection().await;
    assert!(
        conn.client
            .batch_execute("SELECT pg_sleep(60)")
            .now_or_never()
            .is_none()
    );
    assert_eq!(conn.left(), Left::Nothing, "the tap cannot know yet");
    let without_reset = without_reset();
    assert_eq!(conn.verdict(&without_reset), Verdict::Reusable);
    assert_eq!(
        line.clean(&without_reset, &mut conn).await,
        Err(CloseReason::QueryInFlight)
    );
}

/// A network that takes no more, between two of the session's queries: all that the tap has
/// seen is answered, and there is more to come.
#[tokio::test(start_paused = true)]
async fn what_the_network_has_not_taken_is_waited_for() {
    let (mut line, mut conn, mut far) = connection().await;
    // As long as the pipe holds.
    let long = " ".repeat(4096 - 6);
    for query in [&long, "SELECT pg_sleep(60)"] {
        let query = conn.client.batch_execute(query);
        assert!(query.now_or_never().is_none());
    }
    assert!(line.drive().now_or_never().is_none());
    let answer = [b'I', 0, 0, 0, 4, b'Z', 0, 0, 0, 5, b'I'];
    far.write_all(&answer).await.unwrap();
    assert!(line.drive().now_or_never().is_none());
    assert_eq!((conn.left(), conn.wire.is_blocked()), (Left::Nothing, true));
    let config = without_reset();
    assert_eq!(conn.verdict(&config), Verdict::Reusable);

    let taken = async {
        tokio::task::yield_now().await;
        far.read_exact(&mut [0; 4096]).await.unwrap();
    };
    let (cleaned, ()) = tokio::join!(line.clean(&config, &mut conn), taken);
    assert_eq!(cleaned, Err(CloseReason::QueryInFlight));
}

/// `BEGIN; SELECT 1 / 0` as one simple query: the caller has the error, and the word that
/// the session is in a failed transaction is still on its way.
#[tokio::test(start_paused = true)]
async fn an_error_whose_end_is_not_here_is_waited_for() {
    let (mut line, mut conn, mut far) = connection().await;
    assert!(
        conn.client
            .batch_execute("BEGIN; SELECT 1 / 0")
            .now_or_never()
            .is_none()
    );
    assert!(line.drive().now_or_never().is_none());
    far.write_all(&[b'E', 0, 0, 0, 5, 0]).await.unwrap();
    assert!(line.drive().now_or_never().is_none());
    assert_eq!(conn.left(), Left::Untold);
    assert_eq!(conn.verdict(&without_reset()), Verdict::Reusable);

    let end = async {
        tokio::task::yield_now().await;
        far.write_all(&[b'Z', 0, 0, 0, 5, b'E']).await.unwrap();
    };
    let config = without_reset();
    let (cleaned, ()) = tokio::join!(line.clean(&config, &mut conn), end);
    assert_eq!(cleaned, Err(CloseReason::InTransaction));
}

/// Between the moment when a connection breaks and the moment when its task says so.
#[tokio::test(start_paused = true)]
async fn a_connection_that_just_broke_is_not_handed_out() {
    let (line, conn, _far) = connection().await;
    let shared = Shared::start(config(), settings(1), &Handle::current());
    let holding = Holding::new(None, Location::caller());
    let Ok(Answer::Wait(waiter)) = shared.acquire(LaneId::default(), None, &holding, Waker::noop())
    else {
        panic!("nothing stands yet")
    };
    shared.connected(Box::new(conn), mpsc::unbounded_channel().0, Now::default());
    shared.cancel_wait(waiter, false);
    assert_eq!(shared.snapshot().idle, 1);
    drop(line);
    assert!(matches!(
        shared.acquire(LaneId::default(), None, &holding, Waker::noop()),
        Ok(Answer::Wait(_))
    ));
    assert_eq!(
        (shared.snapshot().idle, shared.snapshot().connecting),
        (0, 1)
    );
}

/// The same, while somebody has it and another one waits for it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_just_broke_is_not_handed_on() {
    let (mut line, conn, _far) = connection().await;
    // As far as anybody can see it is at rest.
    line.catch_up().await.unwrap();
    let shared = Shared::start(without_reset(), settings(1), &Handle::current());
    let holding = Holding::new(None, Location::caller());
    let ask = || shared.acquire(LaneId::default(), None, &holding, Waker::noop());
    let Ok(Answer::Wait(waiter)) = ask() else {
        panic!("nothing stands yet")
    };
    shared.connected(Box::new(conn), mpsc::unbounded_channel().0, Now::default());
    shared.cancel_wait(waiter, false);
    let session = shared.take_idle(LaneId::default(), &holding).unwrap();
    assert!(matches!(ask(), Ok(Answer::Wait(_))));
    drop(line);
    drop(session);
    let now = shared.snapshot();
    assert_eq!(
        (now.active, now.idle, now.waiting, now.connecting),
        (0, 0, 1, 1)
    );
}
