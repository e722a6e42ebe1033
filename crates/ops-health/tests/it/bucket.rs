use std::sync::Arc;

use ops_core::memory::{FaultyObjectStore, MemoryObjectStore, Operation};
use ops_core::{ErrorKind, ObjectStore};
use ops_health::checks::Bucket;
use ops_health::{Check, CheckCtx, Code, Status};

use crate::support::seconds;

async fn found(check: &Bucket) -> (Status, Code) {
    let outcome = check.run(&CheckCtx::new(seconds(5))).await;
    (outcome.status(), outcome.code())
}

#[tokio::test]
async fn a_store_is_asked_about_one_object() {
    let store: Arc<dyn ObjectStore> = Arc::new(MemoryObjectStore::new());
    let check = Bucket::new(Arc::clone(&store));
    let missing = (Status::Unhealthy, Code::NotFound);
    assert_eq!(found(&check).await, missing);
    let tolerant = Bucket::new(Arc::clone(&store)).sentinel_may_be_missing();
    assert_eq!(found(&tolerant).await, (Status::Healthy, Code::Ok));
    check.create_sentinel().await.unwrap();
    assert_eq!(found(&check).await, (Status::Healthy, Code::Ok));
    let other = Bucket::new(store).sentinel("elsewhere/x");
    assert_eq!(found(&other).await, missing);
}

#[tokio::test]
async fn one_run_is_one_head_and_its_failure_has_its_own_code() {
    let store = FaultyObjectStore::new(Arc::new(MemoryObjectStore::new()) as Arc<dyn ObjectStore>);
    let check = Bucket::new(Arc::new(store.clone()));
    for (kind, code) in [
        (ErrorKind::PermissionDenied, Code::Forbidden),
        (ErrorKind::Unauthenticated, Code::AuthFailed),
        (ErrorKind::Unavailable, Code::Unreachable),
        (ErrorKind::RateLimited, Code::Saturated),
    ] {
        store.fail(Operation::Head, 1, kind);
        assert_eq!(found(&check).await, (Status::Unhealthy, code), "{kind:?}");
    }
    assert_eq!(store.calls(Operation::Head), 4);
    assert_eq!(store.calls(Operation::List), 0);
}

#[test]
fn requests_are_paid_for() {
    let check = Bucket::new(Arc::new(MemoryObjectStore::new()));
    let policy = Check::policy(&check).with_interval(seconds(1));
    assert_eq!(policy.interval(), seconds(60));
    let bad = Bucket::new(Arc::new(MemoryObjectStore::new())).sentinel("");
    assert_eq!(Check::problems(&bad).len(), 1);
}
