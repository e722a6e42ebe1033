//! The Redis check against a real server.

use ops_core::database::Role;
use ops_health::checks::Redis;
use ops_health::{Check, CheckCtx, Code, Outcome, Status};
use ops_testkit::{Redis as Server, wait_until};
use tokio::net::UnixStream;

use crate::support::seconds;
use crate::tell::tell;

async fn look(check: &Redis) -> Outcome {
    check.run(&CheckCtx::new(seconds(5))).await
}

async fn found(check: &Redis) -> (Status, Code) {
    let outcome = look(check).await;
    (outcome.status(), outcome.code())
}

fn check(server: &Server, query: &str) -> Redis {
    let url = format!("redis+unix://{}{query}", server.socket().display());
    Redis::new(url.as_str())
}

const GOOD: (Status, Code) = (Status::Healthy, Code::Ok);

#[tokio::test]
async fn one_connection_is_kept_and_found_again_after_a_crash() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let check = check(&server, "");
    for _ in 0..10 {
        assert_eq!(found(&check).await, GOOD);
    }
    let clients = tell(&server, "CLIENT LIST").await;
    assert_eq!(clients.matches("name=ops-health").count(), 1, "{clients}");
    server.kill9().await;
    let (status, code) = found(&check).await;
    assert_eq!(status, Status::Unhealthy);
    assert!(matches!(code, Code::Unreachable | Code::Refused), "{code}");
    assert_eq!(found(&check).await, (Status::Unhealthy, Code::Refused));
    server.start_again().await;
    assert_eq!(found(&check).await, GOOD);
}

#[tokio::test]
async fn a_server_that_cannot_save_answers_ping_and_is_still_told() {
    let Some(server) = Server::start().await else {
        return;
    };
    let check = check(&server, "");
    assert_eq!(found(&check).await, GOOD);
    // Where the dump should go, there is a folder.
    let folder = server.socket().parent().unwrap().join("dump.rdb");
    std::fs::create_dir(&folder).unwrap();
    tell(&server, "BGSAVE").await;
    wait_until("the save to fail", seconds(20), async || {
        tell(&server, "INFO persistence")
            .await
            .contains("rdb_last_bgsave_status:err")
    })
    .await;
    let mut runs = 0;
    while found(&check).await == GOOD {
        runs += 1;
        assert!(runs <= 6, "INFO was not asked in time");
    }
    assert_eq!(found(&check).await, (Status::Unhealthy, Code::ReadOnly));
    std::fs::remove_dir(&folder).unwrap();
    tell(&server, "BGSAVE").await;
    wait_until("the save to succeed", seconds(20), async || {
        tell(&server, "INFO persistence")
            .await
            .contains("rdb_last_bgsave_status:ok")
    })
    .await;
    // While it is bad, every run looks.
    assert_eq!(found(&check).await, GOOD);
}

#[tokio::test]
async fn logins_and_permissions_are_told_apart() {
    let Some(server) = Server::start().await else {
        return;
    };
    let add = "ACL SETUSER app on >hunter2 ~* +ping +client";
    assert!(tell(&server, add).await.starts_with("+OK"));
    let shut = "ACL SETUSER shut on >hunter2 -@all";
    assert!(tell(&server, shut).await.starts_with("+OK"));
    // INFO is forbidden: PING decides.
    assert_eq!(found(&check(&server, "?user=app&pass=hunter2")).await, GOOD);
    let wrong = check(&server, "?user=app&pass=hunter3");
    assert_eq!(found(&wrong).await, (Status::Unhealthy, Code::AuthFailed));
    let shut = check(&server, "?user=shut&pass=hunter2");
    assert_eq!(found(&shut).await, (Status::Unhealthy, Code::Forbidden));
    assert!(
        tell(&server, "CONFIG SET requirepass hunter2")
            .await
            .starts_with("+OK")
    );
    assert_eq!(
        found(&check(&server, "")).await,
        (Status::Unhealthy, Code::AuthFailed)
    );
    for check in [&wrong, &shut] {
        assert!(!format!("{check:?} {:?}", look(check).await).contains("hunter"));
    }
}

#[tokio::test]
async fn a_replica_in_place_of_a_primary_is_the_wrong_role() {
    let Some(server) = Server::start().await else {
        return;
    };
    let primary = check(&server, "");
    let replica = check(&server, "").expect(Role::Replica);
    assert_eq!(found(&primary).await, GOOD);
    assert_eq!(found(&replica).await, (Status::Unhealthy, Code::WrongRole));
    // Nobody listens there: the link stays down.
    assert!(
        tell(&server, "REPLICAOF 127.0.0.1 1")
            .await
            .starts_with("+OK")
    );
    let fresh = check(&server, "");
    assert_eq!(found(&fresh).await, (Status::Unhealthy, Code::WrongRole));
    assert_eq!(found(&replica).await, (Status::Degraded, Code::Unreachable));
    assert_eq!(
        found(&check(&server, "").expect(Role::Unknown)).await.0,
        Status::Degraded
    );
    tell(&server, "REPLICAOF NO ONE").await;
    assert_eq!(found(&fresh).await, GOOD);
}

#[tokio::test]
async fn a_full_server_says_so() {
    let Some(server) = Server::start().await else {
        return;
    };
    assert!(
        tell(&server, "CONFIG SET maxclients 1")
            .await
            .starts_with("+OK")
    );
    let _held = UnixStream::connect(server.socket()).await.unwrap();
    let check = check(&server, "");
    wait_until("the server to be full", seconds(20), async || {
        found(&check).await == (Status::Unhealthy, Code::Exhausted)
    })
    .await;
}

#[tokio::test]
async fn tls_is_verified_before_anything_is_said() {
    let root = crate::certificates::Authority::new("root");
    let leaf = root.leaf("localhost", (1, 1), (12, 31));
    let versions = &[&rustls::version::TLS13];
    let port = crate::certificates::serve(leaf, None, versions).await;
    let url = format!("rediss://app:hunter2@localhost:{port}/0");
    let check = Redis::new(url.as_str())
        .root_certificates_pem(crate::certificates::Authority::new("other").root_pem());
    assert_eq!(found(&check).await, (Status::Unhealthy, Code::TlsInvalid));
}

#[test]
fn a_server_that_is_paid_by_the_request_is_asked_once_a_minute() {
    let check = Redis::new("rediss://x").priced_per_request();
    let policy = Check::policy(&check).with_interval(seconds(1));
    assert_eq!(
        (policy.interval(), policy.retry_interval()),
        (seconds(60), seconds(60))
    );
    let problems = Check::problems(&Redis::new("http://hunter2"));
    assert!(problems.len() == 1 && !problems[0].contains("hunter2"));
}
