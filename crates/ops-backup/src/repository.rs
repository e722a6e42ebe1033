//! What lies in the object store.
//!
//! ```text
//! <prefix>manifests/<id>.json                    the manifest: written last, never changed
//! <prefix>backups/<id>/identity.age              the backup's identity, for the recipients
//! <prefix>backups/<id>/dump.00000.zst.age        the dump, in objects of a capped size
//! <prefix>backups/<id>/globals.sql.zst.age       roles and tablespaces
//! <prefix>backups/<id>/fingerprint.json.zst.age  what a restored copy must equal
//! <prefix>backups/<id>/lease.json                only while the backup is being made
//!
//! <prefix>backups/<id>/data.00000.zst.age        a physical backup's tar archives, in packs
//! <prefix>backups/<id>/files.jsonl.zst.age       the index of its files
//! <prefix>backups/<id>/frames.jsonl.zst.age      the lengths of the frames of its packs
//! <prefix>backups/<id>/backup_manifest.zst.age   the server's own manifest
//!
//! <prefix>backups/<id>/drills/<time>.json        results of drills
//! ```
//!
//! Without encryption there is no identity, and names end without `.age`. A backup exists
//! from the moment its manifest does: the catalogue is the list of manifests, nothing else.
//! For a week after a sweep a tombstone, which is no manifest, has the key of the manifest.

mod catalogue;
mod layout;
mod lease;
mod manifest;
mod sweep;

pub use catalogue::CatalogueEntry;
pub use layout::BackupId;
pub use manifest::{CompressionInfo, Manifest, ManifestObject, ObjectRole, SourceInfo};
pub use sweep::SweepReport;

pub(crate) use catalogue::{OpenBackup, Repository};
pub(crate) use layout::Layout;
pub(crate) use lease::Lease;
pub(crate) use manifest::{DUMP, FORMAT, PHYSICAL, PHYSICAL_FORMAT};
#[cfg(test)]
pub(crate) use sweep::TOMBSTONE;
