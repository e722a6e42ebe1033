//! `Stats`, `Audit` and `Usage`.

use std::time::Duration;

use ops_core::database::{MigrationQuery, MigrationTool};
use ops_core::redact;

use super::DatabaseFixture;
use crate::case::Outcome;
use crate::support::done;
use crate::usage;

const TOO_FEW: &str = "there are not two that could be compared";

pub(super) async fn d_080_connections_stay_within_the_limit(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    let stats = done(database.as_stats().unwrap().connections().await);
    assert!(
        stats.max.is_none_or(|max| stats.total() <= max),
        "{stats:?}"
    );
}

pub(super) async fn d_081_the_database_is_no_larger_than_the_instance(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let database = fixture.database();
    let sizes = done(database.as_stats().unwrap().sizes().await);
    let Some(instance) = sizes.instance_bytes else {
        return Outcome::NotOffered("the engine tells no size of the instance");
    };
    assert!(sizes.database_bytes <= instance, "{sizes:?}");
    Outcome::Passed
}

async fn running(fixture: &dyn DatabaseFixture, at_least: Duration) -> Vec<Duration> {
    let database = fixture.database();
    let stats = database.as_stats().unwrap();
    let active = done(stats.active_statements(at_least).await);
    active.into_iter().map(|each| each.running_for).collect()
}

pub(super) async fn d_082_active_statements_are_sorted_by_time(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let times = running(fixture, Duration::ZERO).await;
    if times.len() < 2 {
        return Outcome::NotOffered(TOO_FEW);
    }
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    Outcome::Passed
}

pub(super) async fn d_083_only_statements_that_ran_long_enough_are_told(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let mut times = running(fixture, Duration::ZERO).await;
    times.sort();
    let [shortest, .., longest] = times[..] else {
        return Outcome::NotOffered(TOO_FEW);
    };
    let between = shortest + longest.saturating_sub(shortest) / 2;
    let long = running(fixture, between).await;
    assert!(
        long.iter().all(|time| *time >= between),
        "{long:?} {between:?}"
    );
    Outcome::Passed
}

async fn slow(fixture: &dyn DatabaseFixture, limit: u32) -> Option<Vec<Duration>> {
    let database = fixture.database();
    let slow = match database.as_stats().unwrap().slow_statements(limit).await {
        Err(err) if err.is_unsupported() => return None,
        slow => done(slow),
    };
    Some(slow.into_iter().map(|each| each.total).collect())
}

pub(super) async fn d_084_slow_statements_are_sorted_by_cost(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    match slow(fixture, 100).await {
        Some(costs) if costs.len() > 1 => {
            assert!(costs.is_sorted_by(|a, b| a >= b), "{costs:?}");
            Outcome::Passed
        }
        _ => Outcome::NotOffered(TOO_FEW),
    }
}

pub(super) async fn d_085_no_more_slow_statements_than_asked_for(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    match slow(fixture, 100).await {
        Some(costs) if costs.len() > 1 => {
            assert_eq!(slow(fixture, 1).await.map(|costs| costs.len()), Some(1));
            Outcome::Passed
        }
        _ => Outcome::NotOffered(TOO_FEW),
    }
}

async fn tables(fixture: &dyn DatabaseFixture, limit: u32) -> Vec<u64> {
    let database = fixture.database();
    let tables = done(database.as_stats().unwrap().table_sizes(limit).await);
    tables.into_iter().map(|each| each.total_bytes).collect()
}

pub(super) async fn d_086_tables_are_sorted_by_size(fixture: &dyn DatabaseFixture) -> Outcome {
    let sizes = tables(fixture, 100).await;
    if sizes.len() < 2 {
        return Outcome::NotOffered(TOO_FEW);
    }
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    Outcome::Passed
}

pub(super) async fn d_087_no_more_tables_than_asked_for(fixture: &dyn DatabaseFixture) -> Outcome {
    if tables(fixture, 100).await.len() < 2 {
        return Outcome::NotOffered(TOO_FEW);
    }
    assert_eq!(tables(fixture, 1).await.len(), 1);
    Outcome::Passed
}

/// The names are sorted; `NotOffered` where there are too few to tell.
fn sorted(names: &[String]) -> Outcome {
    if names.len() < 2 {
        return Outcome::NotOffered(TOO_FEW);
    }
    assert!(names.is_sorted(), "{names:?}");
    Outcome::Passed
}

pub(super) async fn d_090_settings_are_sorted_by_name(fixture: &dyn DatabaseFixture) -> Outcome {
    let database = fixture.database();
    let settings = done(database.as_audit().unwrap().settings().await).into_iter();
    sorted(&settings.map(|each| each.name).collect::<Vec<_>>())
}

pub(super) async fn d_091_no_setting_holds_a_secret(fixture: &dyn DatabaseFixture) {
    let database = fixture.database();
    for setting in done(database.as_audit().unwrap().settings().await) {
        let is_secret = redact::value_looks_secret(&setting.value);
        assert!(!is_secret, "{} looks secret", setting.name);
    }
}

pub(super) async fn d_092_roles_are_sorted_by_name(fixture: &dyn DatabaseFixture) -> Outcome {
    let database = fixture.database();
    let roles = done(database.as_audit().unwrap().roles().await).into_iter();
    sorted(&roles.map(|each| each.name).collect::<Vec<_>>())
}

pub(super) async fn d_093_extensions_are_sorted_by_name(fixture: &dyn DatabaseFixture) -> Outcome {
    let database = fixture.database();
    let extensions = done(database.as_audit().unwrap().extensions().await).into_iter();
    sorted(&extensions.map(|each| each.name).collect::<Vec<_>>())
}

pub(super) async fn d_094_without_a_table_every_migration_is_pending(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    let database = fixture.database();
    let query =
        MigrationQuery::new(MigrationTool::Sqlx, ["1", "2"]).with_table("ops_test_no_table");
    match database.as_audit().unwrap().migrations(&query).await {
        Err(err) if err.is_unsupported() => {
            return Outcome::NotOffered("the engine has no migrations");
        }
        status => {
            let status = done(status);
            assert!(!status.is_initialized);
            assert_eq!(status.pending, ["1", "2"]);
        }
    }
    Outcome::Passed
}

pub(super) async fn d_100_usage_answers_for_the_period_that_was_asked_for(
    fixture: &dyn DatabaseFixture,
) -> Outcome {
    usage::answers_for_the_period(fixture.database().as_usage().unwrap()).await
}

pub(super) async fn d_101_a_budget_comes_back_in_the_report(fixture: &dyn DatabaseFixture) {
    usage::tells_the_budget(fixture.database().as_usage().unwrap()).await;
}

pub(super) async fn d_102_no_quantity_is_below_zero(fixture: &dyn DatabaseFixture) {
    usage::is_never_below_zero(fixture.database().as_usage().unwrap()).await;
}
