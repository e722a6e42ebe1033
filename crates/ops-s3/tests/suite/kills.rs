//! Processes that are killed while they move objects between stores.

use std::io::{BufRead, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use ops_core::object_store::{ListOptions, PutOptions};
use ops_core::{ObjectStore, ObjectStoreExt, OffloadOptions, SyncOptions};
use ops_s3::{S3Credentials, S3Store, StoreProfile};

use crate::support::{Fault, Server, key, keys, noise, read};

const MIB: usize = 1024 * 1024;
/// The second is written in parts.
const OBJECTS: [(&str, usize); 2] = [("a", 1_000), ("b", 6 * MIB)];

/// What a process does between the two stores.
async fn work(what: &str, from: &S3Store, to: &S3Store) {
    match what {
        "move" => {
            for name in keys(from, ListOptions::default()).await {
                let name = key(&name);
                from.move_to(&name, to, &name).await.unwrap();
            }
        }
        "sync" => {
            from.sync(to, SyncOptions::default()).await.unwrap();
        }
        _ => {
            let report = from.offload(to, OffloadOptions::new(0, 0)).await;
            assert!(report.unwrap().is_below);
        }
    }
}

/// A process that does its work against the server.
#[expect(
    clippy::disallowed_methods,
    reason = "the child is this test binary itself"
)]
fn start(what: &str, server: &Server) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kills::works_for_another_process", "--exact", "--ignored"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let fake = server.as_fake().unwrap();
    let (access, secret) = (fake.access_key(), fake.secret_key());
    let order = format!("{what} http://{} {access} {secret}", server.addr);
    writeln!(child.stdin.take().unwrap(), "{order}").unwrap();
    child
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "does its work only when another test starts it"]
async fn works_for_another_process() {
    let mut order = String::new();
    std::io::stdin().lock().read_line(&mut order).unwrap();
    let words: Vec<_> = order.split_whitespace().collect();
    let open = async |prefix: &str| {
        let store = S3Store::builder("bucket")
            .endpoint(words[1])
            .allow_http(true)
            .credentials(S3Credentials::new(words[2], words[3]))
            .profile(StoreProfile::aws())
            .part_bytes(5 << 20)
            .prefix(prefix);
        store.open().await.unwrap()
    };
    work(words[0], &open("from/").await, &open("to/").await).await;
}

/// Both stores, and what the first one had at the beginning.
struct Scene {
    server: Server,
    from: S3Store,
    to: S3Store,
    contents: Vec<(&'static str, Bytes)>,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::fake().await;
        let open = async |prefix: &str| {
            let store = server.builder().profile(server.profile()).prefix(prefix);
            store.open().await.unwrap()
        };
        let (from, to) = (open("from/").await, open("to/").await);
        let noise = noise(6 * MIB);
        let contents = OBJECTS.map(|(name, size)| (name, noise.slice(..size)));
        for (name, content) in &contents {
            let options = PutOptions::default();
            from.put(&key(name), content.clone(), options)
                .await
                .unwrap();
        }
        Self {
            server,
            from,
            to,
            contents: contents.to_vec(),
        }
    }

    /// Kills a process before so many of its requests were looked at; `false` where it needed
    /// no more, and was through.
    async fn kill_before(&self, what: &str, request: usize) -> bool {
        self.server.fault_after(request, Fault::Silence);
        let mut child = start(what, &self.server);
        let reached = async {
            while !self.server.is_through() && child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_mins(1), reached).await;
        reached.expect("the process comes to its request or to its end");
        // SIGKILL; one that has ended already keeps its status.
        let _ = child.kill();
        let status = child.wait().unwrap();
        assert!(!status.success() || !self.server.is_through());
        self.server.heal() && !status.success()
    }

    /// No object is lost, and none is half there.
    async fn assert_kept(&self, moment: usize) {
        for (name, content) in &self.contents {
            let copy = read(&self.to, name).await;
            let copied = copy.as_ref().is_ok_and(|copy| copy == content);
            assert!(copied || copy.is_err(), "{name} is other, {moment}");
            match read(&self.from, name).await {
                Ok(source) => assert!(source == content, "{name}, {moment}"),
                Err(err) => assert!(copied && err.is_not_found(), "{name}, {moment}"),
            }
        }
    }
}

/// Kills a process at each of its requests, and does the work again after each.
async fn survives(what: &str) {
    let mut moment = 0;
    loop {
        let scene = Scene::new().await;
        let killed = scene.kill_before(what, moment).await;
        scene.assert_kept(moment).await;
        work(what, &scene.from, &scene.to).await;
        for (name, content) in &scene.contents {
            assert!(read(&scene.to, name).await.unwrap() == content, "{moment}");
        }
        let left = keys(&scene.from, ListOptions::default()).await.len();
        assert_eq!(left, if what == "sync" { 2 } else { 0 }, "{moment}");
        // What the killed process had begun to upload is found and abandoned.
        let fake = scene.server.as_fake().unwrap();
        fake.behave(|it| it.clock_ahead_seconds = -60);
        scene.to.sweep_uploads(Duration::ZERO).await.unwrap();
        assert!(fake.open_uploads().is_empty(), "{moment}");
        if !killed {
            break;
        }
        moment += 1;
    }
    assert!(moment > 8, "it was killed at {moment} moments only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_killed_at_any_request_is_finished_by_repeating_it() {
    survives("move").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_killed_at_any_request_is_finished_by_repeating_it() {
    survives("sync").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offload_that_is_killed_at_any_request_is_finished_by_repeating_it() {
    survives("offload").await;
}
