//! The `BASE_BACKUP` command, in the words of each major.
//!
//! Facts: PostgreSQL's manual, section "Streaming Replication Protocol", of 14 for the bare
//! keywords, which 15 replaced by a list in parentheses and no longer takes.

use ops_core::{ErrorKind, Result};

use super::options::{BaseBackupOptions, Checkpoint, Manifest, ManifestChecksums};
use crate::client::quote;
use crate::error::{error, invalid_input};

/// The longest label that the server takes, in bytes (`MAXPGPATH`).
const MAX_LABEL: usize = 1023;

/// The command for a server of a major.
pub(super) fn command(options: &BaseBackupOptions, major: u32) -> Result<String> {
    check(options, major)?;
    let label = quote(&options.label, "the label")?;
    if major < 15 {
        return Ok(bare(options, &label));
    }
    Ok(listed(options, &label))
}

fn check(options: &BaseBackupOptions, major: u32) -> Result<()> {
    if options.label.len() > MAX_LABEL {
        return Err(invalid_input("the label is longer than 1023 bytes"));
    }
    if options
        .max_rate_kb
        .is_some_and(|rate| !(32..=1_048_576).contains(&rate))
    {
        return Err(invalid_input("the rate is not between 32 and 1048576 kB/s"));
    }
    if options.incremental && options.manifest == Manifest::No {
        return Err(invalid_input("an incremental backup needs a manifest"));
    }
    if options.incremental && major < 17 {
        let message = "incremental backups need PostgreSQL 17";
        return Err(error(ErrorKind::Unsupported, message));
    }
    Ok(())
}

fn bare(options: &BaseBackupOptions, label: &str) -> String {
    let mut command = format!("BASE_BACKUP LABEL {label}");
    let mut add = |wanted: bool, keyword: &str| {
        if wanted {
            command.push(' ');
            command.push_str(keyword);
        }
    };
    add(options.progress, "PROGRESS");
    add(options.checkpoint == Checkpoint::Fast, "FAST");
    add(options.wal, "WAL");
    add(!options.wait_for_archive, "NOWAIT");
    if let Some(rate) = options.max_rate_kb {
        add(true, &format!("MAX_RATE {rate}"));
    }
    add(options.tablespace_map, "TABLESPACE_MAP");
    add(!options.verify_checksums, "NOVERIFY_CHECKSUMS");
    if let Some(manifest) = manifest(options) {
        add(true, &format!("MANIFEST '{manifest}'"));
        add(
            true,
            &format!("MANIFEST_CHECKSUMS '{}'", algorithm(options)),
        );
    }
    command
}

fn listed(options: &BaseBackupOptions, label: &str) -> String {
    let checkpoint = match options.checkpoint {
        Checkpoint::Fast => "fast",
        Checkpoint::Spread => "spread",
    };
    let mut list = vec![
        format!("LABEL {label}"),
        format!("PROGRESS {}", options.progress),
        format!("CHECKPOINT '{checkpoint}'"),
        format!("WAL {}", options.wal),
        format!("WAIT {}", options.wait_for_archive),
    ];
    if let Some(rate) = options.max_rate_kb {
        list.push(format!("MAX_RATE {rate}"));
    }
    list.push(format!("TABLESPACE_MAP {}", options.tablespace_map));
    list.push(format!("VERIFY_CHECKSUMS {}", options.verify_checksums));
    if let Some(manifest) = manifest(options) {
        list.push(format!("MANIFEST '{manifest}'"));
        list.push(format!("MANIFEST_CHECKSUMS '{}'", algorithm(options)));
    }
    list.push("TARGET 'client'".to_owned());
    if options.incremental {
        list.push("INCREMENTAL".to_owned());
    }
    format!("BASE_BACKUP ({})", list.join(", "))
}

fn manifest(options: &BaseBackupOptions) -> Option<&'static str> {
    match options.manifest {
        Manifest::No => None,
        Manifest::Yes => Some("yes"),
        Manifest::ForceEncode => Some("force-encode"),
    }
}

fn algorithm(options: &BaseBackupOptions) -> &'static str {
    match options.manifest_checksums {
        ManifestChecksums::None => "NONE",
        ManifestChecksums::Crc32c => "CRC32C",
        ManifestChecksums::Sha224 => "SHA224",
        ManifestChecksums::Sha256 => "SHA256",
        ManifestChecksums::Sha384 => "SHA384",
        ManifestChecksums::Sha512 => "SHA512",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_major_hears_its_own_words() {
        let options = BaseBackupOptions::default()
            .with_label("nightly 'x'")
            .with_wal(true)
            .with_max_rate_kb(4096);
        assert_eq!(
            command(&options, 14).unwrap(),
            "BASE_BACKUP LABEL 'nightly ''x''' FAST WAL NOWAIT MAX_RATE 4096 TABLESPACE_MAP \
             MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
        );
        assert_eq!(
            command(&options.with_incremental(true), 17).unwrap(),
            "BASE_BACKUP (LABEL 'nightly ''x''', PROGRESS false, CHECKPOINT 'fast', WAL true, \
             WAIT false, MAX_RATE 4096, TABLESPACE_MAP true, VERIFY_CHECKSUMS true, \
             MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', TARGET 'client', INCREMENTAL)"
        );
    }

    #[test]
    fn what_no_server_takes_is_refused_before_it_is_sent() {
        let options = BaseBackupOptions::default;
        for options in [
            options().with_label("a\nb"),
            options().with_label("x".repeat(1024)),
            options().with_max_rate_kb(31),
            options().with_incremental(true).with_manifest(Manifest::No),
        ] {
            let err = command(&options, 17).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidInput, "{options:?}");
        }
        let err = command(&options().with_incremental(true), 16).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported);
    }
}
