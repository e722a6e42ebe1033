use proptest::prelude::*;

use super::*;

fn limit(name: &str, connections: usize) -> Term {
    Term {
        name: name.to_owned().into(),
        connections,
        source: "CONNECTION LIMIT".into(),
    }
}

#[test]
fn the_least_of_server_role_and_database_counts() {
    let mut budget = Budget::new(50).with_superuser_reserved(3).with_reserved(2);
    budget = budget
        .with_backup(2)
        .with_health(1)
        .with_other("migrations", 1);
    assert_eq!(budget.available(), 41);

    // What the server reserves is not of the database's; what others have in it is.
    budget.database_limit = Some(limit("database shop", 30));
    assert_eq!(budget.available(), 26);
    budget.role_limit = Some(limit("role app", 20));
    assert_eq!(budget.available(), 20);
    assert_eq!(
        budget.to_string(),
        "max_connections 50 (given) - superuser_reserved_connections 3 (given) - \
         reserved_connections 2 (given) - backup 2 (given) - health 1 (given) - migrations 1 \
         (given), and at most role app 20 (CONNECTION LIMIT), and at most database shop 30 \
         (CONNECTION LIMIT)"
    );
    assert_eq!(budget.terms().count(), 8);
}

#[test]
fn more_taken_than_there_is_leaves_nothing() {
    let budget = Budget::new(5).with_backup(9);
    assert_eq!((budget.available(), budget.per_instance(2)), (0, 0));
    assert_eq!(budget.per_instance(0), 0);
    assert!(budget.check(&PoolSettings::new(), 0).is_ok());
    assert!(budget.check(&PoolSettings::new(), 1).is_err());
}

#[test]
fn the_reserve_counts() {
    let budget = Budget::new(30);
    let settings = PoolSettings::new()
        .with_pool_size(20)
        .with_reserve_pool_size(10);
    budget.check(&settings, 1).unwrap();
    let err = Budget::new(29).check(&settings, 1).unwrap_err();
    assert_eq!(
        err.message(),
        "1 instances of 30 connections (pool_size 20 + reserve_pool_size 10) take 30, and 29 are \
         available: max_connections 29 (given); 29 for each instance would fit"
    );
}

#[test]
fn fifty_clients_in_session_mode_do_not_fit_on_fifty_connections() {
    let budget = Budget::new(50).with_superuser_reserved(3);
    let budget = budget.with_backup(2).with_health(1);
    assert!(budget.check(&PoolSettings::for_clients(50, 50), 1).is_err());
    let settings = PoolSettings::for_clients(50, budget.per_instance(1));
    budget.check(&settings, 1).unwrap();
    assert_eq!((settings.pool_size, settings.max_waiting), (44, 6));
}

proptest! {
    #[test]
    fn a_split_loses_nothing_and_is_even(total in 0_usize..10_000, instances in 1_usize..200) {
        let shares = Budget::split(total, instances);
        prop_assert_eq!(shares.len(), instances);
        prop_assert_eq!(shares.iter().sum::<usize>(), total);
        let most = shares.iter().max().copied().unwrap_or_default();
        let least = shares.iter().min().copied().unwrap_or_default();
        prop_assert!(most - least <= 1);
    }

    #[test]
    fn what_fits_each_instance_fits_all(max in 0_usize..500, taken in 0_usize..50, instances in 1_usize..20) {
        let budget = Budget::new(max).with_other("others", taken);
        let each = budget.per_instance(instances);
        let check = |size| budget.check(&PoolSettings::new().with_pool_size(size), instances);
        prop_assert!(check(each).is_ok());
        prop_assert!(check(each + 1).is_err());
    }
}
