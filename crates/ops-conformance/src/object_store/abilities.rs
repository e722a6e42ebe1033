//! `Presign`, `Lifecycle` and `BucketAdmin`.

use std::time::Duration;

use bytes::Bytes;
use ops_core::ErrorKind;
use ops_core::object_store::LifecycleRule;

use super::objects::NAMES;
use super::{Folder, ObjectStoreFixture, SHARED};
use crate::case::Outcome;
use crate::support::{done, refused};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NO_BROWSER: &str = "the fixture uses no signed URLs";

pub(super) async fn o_111_a_signed_url_writes(fixture: &dyn ObjectStoreFixture) -> Outcome {
    let folder = Folder::new(fixture);
    let presign = folder.store.as_presign().unwrap();
    let signed = done(presign.presign_put(&folder.key("a"), MINUTE).await);
    let Some(sent) = fixture.send(&signed.url, Bytes::from("sent")).await else {
        return Outcome::NotOffered(NO_BROWSER);
    };
    done(sent);
    assert_eq!(done(folder.read("a").await), "sent");
    Outcome::Passed
}

pub(super) async fn o_112_a_url_for_reading_does_not_write(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    folder.put("a", "content").await;
    let presign = folder.store.as_presign().unwrap();
    let signed = done(presign.presign_get(&folder.key("a"), MINUTE).await);
    let Some(sent) = fixture.send(&signed.url, Bytes::from("sent")).await else {
        return Outcome::NotOffered(NO_BROWSER);
    };
    refused(sent, &[ErrorKind::PermissionDenied]);
    Outcome::Passed
}

pub(super) async fn o_113_a_signed_url_ends(fixture: &dyn ObjectStoreFixture) -> Outcome {
    let folder = Folder::new(fixture);
    folder.put("a", "content").await;
    let presign = folder.store.as_presign().unwrap();
    let signed = done(presign.presign_get(&folder.key("a"), MINUTE).await);
    if !fixture.advance(2 * MINUTE).await {
        return Outcome::NotOffered("the fixture does not advance the store's clock");
    }
    let Some(read) = fixture.fetch(&signed.url).await else {
        return Outcome::NotOffered(NO_BROWSER);
    };
    refused(read, &[ErrorKind::PermissionDenied]);
    Outcome::Passed
}

pub(super) async fn o_114_a_signed_url_tells_when_it_ends(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let presign = folder.store.as_presign().unwrap();
    let short = done(presign.presign_get(&folder.key("a"), MINUTE).await);
    let long = done(presign.presign_get(&folder.key("a"), 60 * MINUTE).await);
    // Signed one after the other, with whole seconds at some stores.
    let apart = long.expires_at.saturating_since(short.expires_at);
    assert!((58 * MINUTE..=60 * MINUTE).contains(&apart), "{apart:?}");
}

pub(super) async fn o_115_a_signed_url_reads_whatever_the_key(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    for name in NAMES {
        folder.put(name, name).await;
    }
    let presign = folder.store.as_presign().unwrap();
    for name in NAMES {
        let signed = done(presign.presign_get(&folder.key(name), MINUTE).await);
        let Some(read) = fixture.fetch(&signed.url).await else {
            return Outcome::NotOffered(NO_BROWSER);
        };
        assert_eq!(done(read), name);
    }
    Outcome::Passed
}

pub(super) async fn o_116_a_url_for_a_month_is_refused(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let presign = folder.store.as_presign().unwrap();
    refused(
        presign.presign_put(&folder.key("a"), 30 * DAY).await,
        &[ErrorKind::InvalidInput],
    );
}

fn rules(folder: &Folder) -> Vec<LifecycleRule> {
    let uploads = format!("{}uploads/", folder.prefix);
    let old = format!("{}old/", folder.prefix);
    vec![
        LifecycleRule::new("ops-old", old).with_expire_after_days(3),
        LifecycleRule::new("ops-uploads", uploads).with_abort_uploads_after_days(1),
    ]
}

pub(super) async fn o_120_rules_are_read_as_they_were_set(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if !fixture.owns_bucket() {
        return Outcome::NotOffered(SHARED);
    }
    let folder = Folder::new(fixture);
    let lifecycle = folder.store.as_lifecycle().unwrap();
    done(lifecycle.set_lifecycle_rules(rules(&folder)).await);
    let mut seen = done(lifecycle.lifecycle_rules().await);
    seen.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(seen, rules(&folder));
    Outcome::Passed
}

pub(super) async fn o_121_rules_take_the_place_of_all_earlier_ones(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if !fixture.owns_bucket() {
        return Outcome::NotOffered(SHARED);
    }
    let folder = Folder::new(fixture);
    let lifecycle = folder.store.as_lifecycle().unwrap();
    done(lifecycle.set_lifecycle_rules(rules(&folder)).await);
    let one: Vec<_> = rules(&folder).into_iter().skip(1).collect();
    done(lifecycle.set_lifecycle_rules(one).await);
    assert_eq!(done(lifecycle.lifecycle_rules().await).len(), 1);
    done(lifecycle.set_lifecycle_rules(Vec::new()).await);
    assert_eq!(done(lifecycle.lifecycle_rules().await), []);
    Outcome::Passed
}

pub(super) async fn o_122_two_rules_of_one_name_are_refused(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if !fixture.owns_bucket() {
        return Outcome::NotOffered(SHARED);
    }
    let folder = Folder::new(fixture);
    let lifecycle = folder.store.as_lifecycle().unwrap();
    let mut twice = rules(&folder);
    for rule in &mut twice {
        "ops-same".clone_into(&mut rule.id);
    }
    refused(
        lifecycle.set_lifecycle_rules(twice).await,
        &[ErrorKind::InvalidInput],
    );
    Outcome::Passed
}

pub(super) async fn o_123_a_rule_expires_what_has_its_prefix(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if !fixture.owns_bucket() {
        return Outcome::NotOffered(SHARED);
    }
    let folder = Folder::new(fixture);
    let lifecycle = folder.store.as_lifecycle().unwrap();
    done(lifecycle.set_lifecycle_rules(rules(&folder)).await);
    folder.put("old/a", "x").await;
    folder.put("kept", "x").await;
    if !fixture.advance(10 * DAY).await {
        return Outcome::NotOffered("the fixture does not advance the store's clock");
    }
    assert_eq!(folder.names("", None).await, ["kept"]);
    Outcome::Passed
}

pub(super) async fn o_130_making_the_bucket_again_is_success(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    folder.put("a", "kept").await;
    done(
        folder
            .store
            .as_bucket_admin()
            .unwrap()
            .create_bucket()
            .await,
    );
    assert_eq!(done(folder.read("a").await), "kept");
}

pub(super) async fn o_131_a_bucket_that_holds_something_is_not_removed(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    folder.put("a", "kept").await;
    let admin = folder.store.as_bucket_admin().unwrap();
    refused(admin.delete_bucket().await, &[ErrorKind::Conflict]);
}

pub(super) async fn o_132_an_empty_bucket_is_removed_twice_and_made_again(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    if !fixture.owns_bucket() {
        return Outcome::NotOffered(SHARED);
    }
    let folder = Folder::new(fixture);
    let admin = folder.store.as_bucket_admin().unwrap();
    done(admin.delete_bucket().await);
    done(admin.delete_bucket().await);
    done(admin.create_bucket().await);
    folder.put("a", "x").await;
    Outcome::Passed
}
