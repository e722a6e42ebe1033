//! How long a fault can go untold, whatever the policy and the moment.

use std::time::Duration;

use ops_health::{Code, Outcome, Policy, Status};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::support::{Act, Scripted, exact, seconds, service};

/// How often the state is read.
const LOOK: Duration = Duration::from_millis(50);

/// How long a fault is untold that begins so long after the service.
async fn untold(policy: &Policy, after: Duration, fault: Act) -> Duration {
    let check = Scripted::healthy("db");
    let builder = service().check(check.clone());
    let health = builder.policy(|_| policy.clone()).build().unwrap();
    let _scheduler = health.start().unwrap();
    sleep(after).await;
    assert_eq!(health.checks()[0].status, Status::Healthy);
    let begun = Instant::now();
    check.set(fault);
    while health.checks()[0].status != Status::Unhealthy {
        sleep(LOOK).await;
    }
    begun.elapsed()
}

const SOON: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_within_22_seconds_by_default() {
    assert_eq!(exact().detection_time(), seconds(22));
    let took = untold(&exact(), SOON, Act::Hang).await;
    let wide = seconds(22) + LOOK;
    assert!(took > seconds(21) && took <= wide, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn runs_that_hang_for_longer_than_the_retry_interval_are_counted_in_full() {
    let policy = exact()
        .with_interval(seconds(5))
        .with_retry_interval(seconds(1))
        .with_timeout(seconds(3));
    // 5 s, twice 3 s and a pause of 0.1 s, and 3 s.
    assert_eq!(policy.detection_time(), Duration::from_millis(14_200));
    let took = untold(&policy, SOON, Act::Hang).await;
    assert!(took > seconds(14), "{took:?}");
    assert!(took <= policy.detection_time() + LOOK, "{took:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_fault_goes_untold_for_longer_than_the_policy_says(
        interval in 200_u64..20_000,
        retry in 1_u64..=100,
        timeout in 50_u64..8_000,
        threshold in 1_u32..5,
        after in 1_u64..40_000,
        hangs in any::<bool>(),
    ) {
        let interval = Duration::from_millis(interval);
        let policy = exact()
            .with_interval(interval)
            .with_retry_interval((interval / 100 * u32::try_from(retry).unwrap()).max(SOON))
            .with_timeout(Duration::from_millis(timeout))
            .with_thresholds(threshold, 1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        let fault = if hangs { Act::Hang } else { Act::Return(Outcome::unhealthy(Code::Refused)) };
        let took = runtime.block_on(untold(&policy, Duration::from_millis(after), fault));
        prop_assert!(took <= policy.detection_time() + LOOK,
            "{took:?} of {:?} with {policy:?}", policy.detection_time());
    }
}
