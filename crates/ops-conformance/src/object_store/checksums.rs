//! Checksums, end to end.

use ops_core::ErrorKind;
use ops_core::object_store::{Checksum, PutOptions};

use super::streams::body;
use super::{Folder, ObjectStoreFixture};
use crate::case::Outcome;
use crate::support::{done, refused};

/// The text for which every algorithm states its check value.
const CHECK: &str = "123456789";

/// What `CHECK` hashes to.
const KNOWN: [&str; 4] = [
    "crc32c:e3069283",
    "crc64nvme:ae8b14860a799888",
    "md5:25f9e794323b453885f5181f1b624d0b",
    "sha256:15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
];

fn wrong() -> PutOptions {
    PutOptions::default().with_checksum(Checksum::Crc32c(1))
}

pub(super) async fn o_050_a_wrong_checksum_is_refused(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let refusal = folder.put_with("a", CHECK.into(), wrong()).await;
    refused(refusal, &[ErrorKind::Integrity]);
}

pub(super) async fn o_051_a_refused_checksum_leaves_nothing(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let refusal = folder.put_with("a", CHECK.into(), wrong()).await;
    if refusal.is_err() {
        assert!(folder.is_missing("a").await);
    }
}

pub(super) async fn o_052_a_right_checksum_is_accepted(fixture: &dyn ObjectStoreFixture) {
    let folder = Folder::new(fixture);
    let right = PutOptions::default().with_checksum(Checksum::Crc32c(0xe306_9283));
    done(folder.put_with("a", CHECK.into(), right).await);
}

pub(super) async fn o_053_a_wrong_checksum_of_a_stream_is_refused(
    fixture: &dyn ObjectStoreFixture,
) {
    let folder = Folder::new(fixture);
    let (key, data) = (folder.key("a"), body(["1234", "56789"]));
    let refusal = folder.store.put_stream(&key, data, wrong()).await;
    refused(refusal, &[ErrorKind::Integrity]);
}

pub(super) async fn o_054_a_checksum_that_is_told_is_the_contents(
    fixture: &dyn ObjectStoreFixture,
) -> Outcome {
    let folder = Folder::new(fixture);
    let written = folder.put("a", CHECK).await;
    let head = done(folder.store.head(&folder.key("a")).await);
    let mut is_told = false;
    for told in [written.checksum, head.checksum].into_iter().flatten() {
        let known = KNOWN.map(|known| known.parse::<Checksum>().unwrap());
        let same = |known: &&Checksum| known.algorithm() == told.algorithm();
        if let Some(known) = known.iter().find(same) {
            assert_eq!(told, *known);
            is_told = true;
        }
    }
    if is_told {
        return Outcome::Passed;
    }
    Outcome::NotOffered("the store tells no checksum of a kind that is known here")
}
