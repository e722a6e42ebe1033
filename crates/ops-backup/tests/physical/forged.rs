//! Content that was forged so well that nothing but its hash gives it away.

use std::sync::Arc;

use futures_util::TryStreamExt;
use ops_backup::{BaseBackupRequest, ErrorKind, ObjectRole, PhysicalOptions, RestoreTarget};
use ops_core::ObjectStore;
use ops_core::memory::MemoryObjectStore;
use ops_core::object_store::{GetOptions, PutOptions};

use crate::drill::NOISE;
use crate::restore::{Place, options, source};
use crate::shared::Bench;
use crate::stores::{Odd, Oddity};

/// Alters one byte of the plain content of a frame that zstd has stored as it is, and makes
/// the frame's own checksum fit.
fn forge(pack: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    while at < pack.len() {
        let length = zstd::zstd_safe::find_frame_compressed_size(&pack[at..]).unwrap();
        let frame = &pack[at..at + length];
        let mut plain = zstd::decode_all(frame).unwrap();
        let literal = (0..plain.len().saturating_sub(64))
            .step_by(999)
            .find_map(|from| {
                let window = &plain[from..from + 64];
                let found = window.iter().any(|it| *it != window[0])
                    && memchr::memmem::find_iter(frame, window).count() == 1;
                found.then(|| (from, memchr::memmem::find(frame, window).unwrap()))
            });
        if let Some((from, stored)) = literal {
            let mut forged = pack.to_vec();
            forged[at + stored] ^= 1;
            plain[from] ^= 1;
            let checksum = xxhash_rust::xxh64::xxh64(&plain, 0).to_le_bytes();
            forged[at + length - 4..at + length].copy_from_slice(&checksum[..4]);
            let again = zstd::decode_all(&forged[at..at + length]).unwrap();
            assert!(again == plain, "the frame is sound by itself");
            return Some(forged);
        }
        at += length;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_was_forged_where_nothing_is_encrypted_is_found_by_its_hash() {
    let Some(pg) = source().start().await else {
        return;
    };
    // A store that keeps no checksums, so that nothing but the content tells.
    let bench = Bench::new();
    let inside: Arc<dyn ObjectStore> = Arc::new(MemoryObjectStore::new());
    let store = Odd {
        store: Arc::clone(&inside),
        oddity: Oddity::Forgetful,
    };
    let backup = bench
        .builder_in(Arc::new(store), pg.connect_info("postgres"))
        .encryption(ops_backup::Encryption::none())
        .physical(PhysicalOptions::new().with_pack_bytes(1 << 20))
        .build()
        .unwrap();
    pg.client("postgres")
        .await
        .batch_execute(NOISE)
        .await
        .unwrap();
    backup
        .base_backup(BaseBackupRequest::full())
        .finish()
        .await
        .unwrap();
    let manifest = backup.latest().await.unwrap().unwrap().manifest;
    let place = Place::new();
    let mut found = 0;
    for object in manifest.objects_of(ObjectRole::Data) {
        let got = inside
            .get(&object.key, GetOptions::default())
            .await
            .unwrap();
        let good: Vec<_> = got.body.try_collect().await.unwrap();
        let good = good.concat();
        let Some(forged) = forge(&good) else { continue };
        let put = async |content: Vec<u8>| {
            let options = PutOptions::default();
            inside
                .put(&object.key, content.into(), options)
                .await
                .unwrap();
        };
        put(forged).await;
        let folder = place.join(&format!("forged-{found}"));
        let job = backup.restore_cluster(RestoreTarget::Latest, &folder, options());
        let err = job.finish().await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Integrity, "{}: {err:?}", object.key);
        assert!(folder.exists(), "it was found in the content: {err:?}");
        assert!(!folder.join("global/pg_control").exists());
        put(good).await;
        found += 1;
    }
    assert!(found > 0, "no frame could be forged");
}
