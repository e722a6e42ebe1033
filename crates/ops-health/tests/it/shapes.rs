//! Every shape, for everybody and for authorized callers, against files in `golden`.

use std::sync::Arc;
use std::time::Duration;

use ops_health::{Check, CheckCtx, Code, Health, Kind, Outcome, Policy, Scheduler, Unit};
use ops_testkit::ManualClock;

use crate::support::{Reply, exact, get, get_authorized, seconds, service};

/// A check that takes 1.2 ms and always finds the same.
struct Fixed(&'static str, Kind, Outcome);

impl Check for Fixed {
    fn name(&self) -> &str {
        self.0
    }

    fn kind(&self) -> Kind {
        self.1
    }

    fn policy(&self) -> Policy {
        exact()
    }

    async fn run(&self, _ctx: &CheckCtx) -> Outcome {
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.2.clone()
    }
}

async fn example(names: bool) -> (Health, Scheduler) {
    let clock = ManualClock::at("2026-01-02T03:04:05.678Z");
    let disk = Outcome::degraded(Code::ThresholdWarn)
        .with_observation("utilization", 0.83, Unit::Ratio)
        .with_observation("available", 1_234_567.0, Unit::Bytes)
        .with_detail("/var/lib/postgresql");
    let redis = Outcome::unhealthy(Code::Timeout).with_detail("redis://u:p@cache:6379 is silent");
    let database = Outcome::healthy().with_observation("round_trip", 0.0012, Unit::Seconds);
    let mut builder = service()
        .clock(Arc::new(clock.clone()))
        .check(Fixed("database", Kind::Datastore, database))
        .check(Fixed("redis", Kind::Cache, redis))
        .non_critical()
        .check(Fixed("disk", Kind::System, disk))
        .non_critical()
        .liveness("worker", || true)
        .startup_gate("migrations", async { Ok(()) });
    if names {
        builder = builder.expose_names();
    }
    let health = builder.build().unwrap();
    let scheduler = health.start().unwrap();
    tokio::time::sleep(seconds(16)).await;
    clock.advance(seconds(55));
    (health, scheduler)
}

/// The body as it was sent, with a line for each member.
fn shown(reply: &Reply) -> String {
    let head = format!(
        "{} {}\n",
        reply.code(),
        reply.header("content-type").unwrap()
    );
    head + &reply.body.replace(",\"", ",\n\"").replace("{\"", "{\n\"")
}

macro_rules! golden {
    ($($test:ident $format:literal;)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let uri = concat!("/health?format=", $format);
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("../golden");
            settings.set_prepend_module_to_snapshot(false);
            settings.set_omit_expression(true);
            let _bound = settings.bind_to_scope();

            let (hidden, _a) = example(false).await;
            insta::assert_snapshot!(concat!($format, "_anonymous"), shown(&get(&hidden, uri)));
            insta::assert_snapshot!(
                concat!($format, "_authorized"),
                shown(&get_authorized(&hidden, uri))
            );
            let (named, _b) = example(true).await;
            insta::assert_snapshot!(
                concat!($format, "_anonymous_with_names"),
                shown(&get(&named, uri))
            );
        }
    )+};
}

golden! {
    the_native_shape_is_as_recorded "native";
    preset_a_is_as_recorded "a";
    preset_b_is_as_recorded "b";
    preset_c_is_as_recorded "c";
    the_draft_is_as_recorded "draft";
}
