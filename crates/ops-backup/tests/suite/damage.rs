//! Stored bytes that are not what was written, and keys that do not fit.

use std::sync::Arc;

use crate::stores::{Odd, Oddity};
use crate::support::{self, Bench, Keys, small_database};
use bytes::Bytes;
use futures_util::TryStreamExt;
use ops_backup::{
    Backup, BackupId, Encryption, ErrorKind, Manifest, ObjectRole, RestoreOptions, Unlock,
};
use ops_core::object_store::{GetOptions, PutOptions};
use ops_core::{ObjectKey, ObjectStore};
use ops_testkit::Pg;

/// A backup in small objects, and an empty database to restore it into.
struct Scene {
    pg: Pg,
    bench: Bench,
    backup: Backup,
    manifest: Manifest,
}

impl Scene {
    async fn new() -> Option<Self> {
        let pg = small_database().await?;
        let bench = Bench::new();
        // Incompressible, so that the dump takes several objects of 1 MiB.
        pg.client("shop")
            .await
            .batch_execute(
                "CREATE TABLE noise AS SELECT i, (SELECT string_agg(sha256((i || '.' || k)::bytea), '') \
                 FROM generate_series(1, 32) k) AS x FROM generate_series(1, 4000) i",
            )
            .await
            .unwrap();
        let backup = bench
            .builder(pg.connect_info("shop"))
            .frame_bytes(128 << 10)
            .max_object_bytes(1 << 20)
            .build()
            .unwrap();
        let id = backup.dump().finish().await.unwrap().id;
        let manifest = backup.catalogue().await.unwrap().remove(0).manifest;
        assert_eq!(manifest.id, id);
        assert!(
            manifest.objects_of(ObjectRole::Dump).count() >= 3,
            "{manifest:?}"
        );
        pg.create_database("copy").await;
        Some(Self {
            pg,
            bench,
            backup,
            manifest,
        })
    }

    fn dump_keys(&self) -> Vec<ObjectKey> {
        self.manifest
            .objects_of(ObjectRole::Dump)
            .map(|object| object.key.clone())
            .collect()
    }

    async fn read(&self, key: &ObjectKey) -> Vec<u8> {
        let body = self
            .bench
            .store
            .get(key, GetOptions::default())
            .await
            .unwrap()
            .body;
        body.map_ok(|chunk| chunk.to_vec())
            .try_concat()
            .await
            .unwrap()
    }

    async fn write(&self, key: &ObjectKey, content: Vec<u8>) {
        self.bench
            .store
            .put(key, Bytes::from(content), PutOptions::default())
            .await
            .unwrap();
    }

    /// Restores, which must fail, and sees to it that the target is still empty.
    async fn restore_fails(&self, what: &str) -> ops_backup::Error {
        let err = self
            .backup
            .restore(
                &self.manifest.id,
                self.pg.connect_info("copy"),
                RestoreOptions::new(),
            )
            .finish()
            .await
            .expect_err(what);
        let client = self.pg.client("copy").await;
        let row = client
            .query_one(
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(
            row.get::<_, i64>(0),
            0,
            "{what} left something in the target"
        );
        err
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_were_changed_in_any_way_are_found_and_the_target_stays_empty() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let keys = scene.dump_keys();
    let (first, second, last) = (&keys[0], &keys[1], &keys[keys.len() - 1]);
    let original: Vec<_> =
        futures_util::future::join_all(keys.iter().map(|key| scene.read(key))).await;
    let (whole_first, whole_second) = (&original[0], &original[1]);
    let whole_last = &original[keys.len() - 1];

    // Truncated: to nothing, in the header, in the middle, by the last byte.
    for end in [0, 20, whole_last.len() / 2, whole_last.len() - 1] {
        scene.write(last, whole_last[..end].to_vec()).await;
        let err = scene.restore_fails(&format!("truncated to {end}")).await;
        assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");
    }
    scene.write(last, whole_last.clone()).await;

    // One bit, in the header, in the middle, in the last byte.
    for at in [5, whole_first.len() / 2, whole_first.len() - 1] {
        let mut flipped = whole_first.clone();
        flipped[at] ^= 0x10;
        scene.write(first, flipped).await;
        let err = scene.restore_fails(&format!("bit flipped at {at}")).await;
        assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");
    }

    // Two objects of the same backup in each other's place: each opens with the key.
    scene.write(first, whole_second.clone()).await;
    scene.write(second, whole_first.clone()).await;
    let err = scene.restore_fails("reordered").await;
    assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");

    scene.write(first, whole_first.clone()).await;
    scene.write(second, whole_second.clone()).await;
    scene.bench.store.delete(last).await.unwrap();
    let err = scene.restore_fails("missing").await;
    assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");

    // Whole again, it restores: the damage was what made it fail.
    scene.write(last, whole_last.clone()).await;
    let target = scene.pg.connect_info("copy");
    scene
        .backup
        .restore(&scene.manifest.id, target, RestoreOptions::new())
        .finish()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_the_store_cannot_know_of_is_found_while_restoring() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    // A store without checksums: sizes agree, so that only reading finds it.
    let store = Arc::new(Odd {
        store: Arc::clone(&scene.bench.store),
        oddity: Oddity::Forgetful,
    });
    let info = scene.pg.connect_info("shop");
    let backup = Backup::builder(support::database(info), store as _)
        .encryption(Encryption::recipients([&scene.bench.keys.recipient]).unwrap())
        .unlock(Unlock::identity(scene.bench.keys.identity.as_str()))
        .finder(ops_pg::binaries::Finder::from_env())
        .build()
        .unwrap();
    let scene = Scene { backup, ..scene };
    let keys = scene.dump_keys();
    for key in [&keys[0], &keys[keys.len() - 1]] {
        let whole = scene.read(key).await;
        // Early on, most of the object is still under way when it is found.
        for at in [5, 5_000, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            scene.write(key, flipped).await;
            let err = scene.restore_fails(&format!("bit flipped at {at}")).await;
            assert_eq!(err.kind(), ErrorKind::Integrity, "at {at}: {err:?}");
        }
        scene.write(key, whole).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_backup_is_refused_even_where_the_manifest_is_changed_to_fit() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let other = scene.backup.dump().finish().await.unwrap().id;
    let entries = scene.backup.catalogue().await.unwrap();
    let other = &entries
        .iter()
        .find(|entry| entry.manifest.id == other)
        .unwrap()
        .manifest;
    let (ours, theirs) = (
        scene.manifest.objects_of(ObjectRole::Dump).next().unwrap(),
        other.objects_of(ObjectRole::Dump).next().unwrap(),
    );
    scene.write(&ours.key, scene.read(&theirs.key).await).await;
    let err = scene.restore_fails("swapped").await;
    assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");

    let key: ObjectKey = format!("manifests/{}.json", scene.manifest.id)
        .parse()
        .unwrap();
    let manifest = String::from_utf8(scene.read(&key).await).unwrap();
    let fitted = manifest.replace(&ours.blake3, &theirs.blake3).replace(
        &format!("\"size_bytes\": {}", ours.size_bytes),
        &format!("\"size_bytes\": {}", theirs.size_bytes),
    );
    assert_ne!(fitted, manifest);
    scene.write(&key, fitted.into_bytes()).await;
    let err = scene.restore_fails("manifest changed").await;
    assert_eq!(err.kind(), ErrorKind::Integrity, "{err:?}");
    assert!(err.to_string().contains("manifest"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_apart_from_a_damaged_backup() {
    let Some(scene) = Scene::new().await else {
        return;
    };
    let with_key = |unlock: Option<Unlock>| {
        let builder = Backup::builder(
            support::database(scene.pg.connect_info("shop")),
            Arc::clone(&scene.bench.store),
        )
        .encryption(Encryption::none());
        unlock
            .into_iter()
            .fold(builder, ops_backup::BackupBuilder::unlock)
            .build()
            .unwrap()
    };
    let wrong = [
        None,
        Some(Unlock::identity(Keys::generate().identity)),
        Some(Unlock::passphrase("guessed")),
    ];
    for unlock in wrong {
        let err = with_key(unlock.clone())
            .restore(
                &scene.manifest.id,
                scene.pg.connect_info("copy"),
                RestoreOptions::new(),
            )
            .finish()
            .await
            .unwrap_err();
        assert_eq!(err.kind(), ErrorKind::WrongKey, "{unlock:?}: {err:?}");
    }
    let missing: BackupId = "20200101T000000Z-00000000".parse().unwrap();
    let err = scene
        .backup
        .restore(
            &missing,
            scene.pg.connect_info("copy"),
            RestoreOptions::new(),
        )
        .finish()
        .await
        .unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound, "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_recipients_a_passphrase_and_plain_text_all_open() {
    let Some(pg) = small_database().await else {
        return;
    };
    let bench = Bench::new();
    let (one, two) = (Keys::generate(), Keys::generate());
    let recipients = Encryption::recipients([&one.recipient, &two.recipient]).unwrap();
    let passphrase = || Unlock::passphrase("correct horse battery staple");
    let cases = [
        (
            "first",
            recipients.clone(),
            Some(Unlock::identity(one.identity.as_str())),
        ),
        (
            "second",
            recipients,
            Some(Unlock::identity(two.identity.as_str())),
        ),
        (
            "phrase",
            Encryption::passphrase("correct horse battery staple").unwrap(),
            Some(passphrase()),
        ),
        ("plain", Encryption::none(), None),
    ];
    for (name, encryption, unlock) in cases {
        let builder = Backup::builder(
            support::database(pg.connect_info("shop")),
            Arc::clone(&bench.store),
        )
        .prefix(name)
        .encryption(encryption)
        .finder(ops_pg::binaries::Finder::from_env());
        let backup = unlock
            .into_iter()
            .fold(builder, ops_backup::BackupBuilder::unlock)
            .build()
            .unwrap();
        let report = backup.dump().finish().await.unwrap();
        let warned = |it: &String| it.contains("NOT ENCRYPTED");
        assert_eq!(
            report.warnings.iter().any(warned),
            name == "plain",
            "{:?}",
            report.warnings
        );
        pg.create_database(name).await;
        backup
            .restore(&report.id, pg.connect_info(name), RestoreOptions::new())
            .finish()
            .await
            .unwrap_or_else(|err| panic!("{name}: {err:?}"));
    }
    let plain = support::keys(&*bench.store).await;
    assert!(
        plain
            .iter()
            .any(|key| key.starts_with("plain/") && key.ends_with("dump.00000.zst")),
        "{plain:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_was_stored_again_for_another_recipient_opens_with_the_new_key_only() {
    use std::io::{Read, Write};

    let Some(scene) = Scene::new().await else {
        return;
    };
    let key: ObjectKey = format!("backups/{}/identity.age", scene.manifest.id)
        .parse()
        .unwrap();
    let old: age::x25519::Identity = scene.bench.keys.identity.parse().unwrap();
    let wrapped = scene.read(&key).await;
    let mut line = String::new();
    age::Decryptor::new(wrapped.as_slice())
        .unwrap()
        .decrypt(std::iter::once(&old as &dyn age::Identity))
        .unwrap()
        .read_to_string(&mut line)
        .unwrap();
    let new = Keys::generate();
    let recipient: age::x25519::Recipient = new.recipient.parse().unwrap();
    let mut rewrapped = Vec::new();
    let mut writer =
        age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .unwrap()
            .wrap_output(&mut rewrapped)
            .unwrap();
    writer.write_all(line.as_bytes()).unwrap();
    writer.finish().unwrap();
    scene.write(&key, rewrapped).await;

    let err = scene.restore_fails("the old key").await;
    assert_eq!(err.kind(), ErrorKind::WrongKey, "{err:?}");
    let backup = scene
        .bench
        .builder(scene.pg.connect_info("shop"))
        .unlock(Unlock::identity(new.identity))
        .build()
        .unwrap();
    let target = scene.pg.connect_info("copy");
    backup
        .restore(&scene.manifest.id, target, RestoreOptions::new())
        .finish()
        .await
        .unwrap();
}
