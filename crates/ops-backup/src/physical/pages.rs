//! Page checksums.
//!
//! PostgreSQL sums a page up by 32 FNV-1a hashes that run side by side, mixes in the page's
//! number, and keeps 16 bits of it in the page's header (`checksum_impl.h`). The lanes are
//! laid out so that compilers make vector instructions of plain code.

/// The size of a page. Servers that were built with another are not checked.
pub(crate) const PAGE: usize = 8192;
const LANES: usize = 32;
const ROW: usize = LANES * 4;
const PRIME: u32 = 16_777_619;

/// Where each of the hashes begins.
const OFFSETS: [u32; LANES] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

#[inline]
fn mix(sums: &mut [u32; LANES], row: &[u8; ROW]) {
    let (words, _) = row.as_chunks::<4>();
    for (sum, word) in sums.iter_mut().zip(words) {
        let mixed = *sum ^ u32::from_le_bytes(*word);
        *sum = mixed.wrapping_mul(PRIME) ^ (mixed >> 17);
    }
}

/// The checksum that a page with a number should have.
pub(crate) fn checksum(page: &[u8; PAGE], block: u32) -> u16 {
    let mut sums = OFFSETS;
    let (rows, _) = page.as_chunks::<ROW>();
    let Some((first, rest)) = rows.split_first() else {
        return 0;
    };
    // The checksum is not part of what is summed up.
    let mut first = *first;
    if let Some(own) = first.get_mut(8..10) {
        own.fill(0);
    }
    mix(&mut sums, &first);
    for row in rest {
        mix(&mut sums, row);
    }
    mix(&mut sums, &[0; ROW]);
    mix(&mut sums, &[0; ROW]);
    let folded = sums.iter().fold(0, |folded, sum| folded ^ sum) ^ block;
    u16::try_from(folded % 65_535).unwrap_or_default() + 1
}

/// What a look at a page found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// It holds nothing yet, and has no checksum.
    New,
    /// It was written after the position from which recovery writes it anew.
    Recent,
    Bad {
        found: u16,
        expected: u16,
    },
}

/// Looks at a page of a cluster with checksums. `start` is where the backup's WAL begins.
pub(crate) fn verify(page: &[u8; PAGE], block: u32, start: u64) -> Verdict {
    let word = |at: usize| match page.get(at..at + 2) {
        Some(&[low, high]) => u16::from_le_bytes([low, high]),
        _ => 0,
    };
    // pd_upper
    if word(14) == 0 {
        return Verdict::New;
    }
    let half = |at: usize| u64::from(word(at)) | u64::from(word(at + 2)) << 16;
    // pd_lsn, its high half first
    if half(0) << 32 | half(4) >= start {
        return Verdict::Recent;
    }
    let (found, expected) = (word(8), checksum(page, block));
    if found == expected {
        Verdict::Good
    } else {
        Verdict::Bad { found, expected }
    }
}

/// A file of a relation, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelationFile {
    /// Which of the files of a large relation it is.
    pub(crate) segment: u32,
    /// Whether it holds only the blocks that have changed.
    pub(crate) incremental: bool,
}

impl RelationFile {
    /// `base/<database>/<relation>`, `global/<relation>`, or the like in a tablespace;
    /// with a fork and a segment, perhaps. None for every other file.
    pub(crate) fn of(path: &[u8], main: bool) -> Option<Self> {
        let mut parts = path.split(|byte| *byte == b'/');
        let name = match (main, parts.next()?, parts.next()?, parts.next()) {
            (true, b"global", name, None) => name,
            (true, b"base", database, Some(name)) if number(database).is_some() => name,
            (false, root, database, Some(name))
                if root.starts_with(b"PG_") && number(database).is_some() =>
            {
                name
            }
            // A tablespace that lies in the data folder itself.
            (true, b"pg_tblspc", oid, Some(root))
                if number(oid).is_some() && root.starts_with(b"PG_") =>
            {
                number(parts.next()?)?;
                parts.next()?
            }
            _ => return None,
        };
        if parts.next().is_some() {
            return None;
        }
        let plain = name.strip_prefix(b"INCREMENTAL.");
        let incremental = plain.is_some();
        let mut ends = plain.unwrap_or(name).splitn(2, |byte| *byte == b'.');
        let (relation, segment) = (ends.next()?, ends.next());
        let mut forks = relation.splitn(2, |byte| *byte == b'_');
        number(forks.next()?)?;
        if !matches!(forks.next(), None | Some(b"fsm" | b"vm" | b"init")) {
            return None;
        }
        let segment = segment.map_or(Some(0), number)?;
        Some(Self {
            segment,
            incremental,
        })
    }
}

/// Decimal digits, at most ten.
fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something like a page of a heap. Real ones are in the tests against servers.
    fn page() -> [u8; PAGE] {
        let mut page = [0; PAGE];
        page[0..8].copy_from_slice(&[0, 0, 0, 0, 0x28, 0, 0, 5]);
        page[12..20].copy_from_slice(&[28, 0, 0, 0x1f, 0, 0x20, 4, 0x20]);
        for (at, byte) in page.iter_mut().enumerate().skip(0x1f00) {
            *byte = u8::try_from(at % 251).unwrap();
        }
        page
    }

    fn sealed(block: u32) -> [u8; PAGE] {
        let mut page = page();
        let sum = checksum(&page, block).to_le_bytes();
        page[8..10].copy_from_slice(&sum);
        page
    }

    #[test]
    fn a_page_is_good_under_its_own_number_alone() {
        let page = sealed(7);
        assert_eq!(verify(&page, 7, u64::MAX), Verdict::Good);
        assert!(matches!(verify(&page, 8, u64::MAX), Verdict::Bad { .. }));
    }

    #[test]
    fn every_flipped_bit_is_found_save_in_what_tells_new_pages_apart() {
        for at in (0..PAGE).step_by(13).filter(|at| !(0..8).contains(at)) {
            let mut page = sealed(3);
            page[at] ^= 0x10;
            assert!(
                matches!(verify(&page, 3, u64::MAX), Verdict::Bad { .. }),
                "{at}"
            );
        }
    }

    #[test]
    fn new_and_recent_pages_are_passed_over() {
        assert_eq!(verify(&[0; PAGE], 0, u64::MAX), Verdict::New);
        let page = page();
        assert_eq!(verify(&page, 0, 0x0500_0028), Verdict::Recent);
        assert!(matches!(verify(&page, 0, 0x0500_0029), Verdict::Bad { .. }));
    }

    #[test]
    fn relations_are_told_from_other_files() {
        let found = |path: &str, main| {
            RelationFile::of(path.as_bytes(), main).map(|it| (it.segment, it.incremental))
        };
        assert_eq!(found("base/5/1259", true), Some((0, false)));
        assert_eq!(found("base/5/1259_fsm", true), Some((0, false)));
        assert_eq!(found("base/5/16384_vm.2", true), Some((2, false)));
        assert_eq!(found("base/5/16384_init", true), Some((0, false)));
        assert_eq!(found("base/5/INCREMENTAL.16384.1", true), Some((1, true)));
        assert_eq!(found("global/1262", true), Some((0, false)));
        assert_eq!(found("PG_15_202209061/5/16384.3", false), Some((3, false)));
        assert_eq!(
            found("pg_tblspc/1/PG_15_202209061/5/16384", true),
            Some((0, false))
        );
        for other in [
            "global/pg_control",
            "global/pg_filenode.map",
            "base/5/PG_VERSION",
            "base/5/pg_internal.init",
            "base/5/1259_main",
            "base/5/1259.",
            "base/5/.1",
            "base/x/1259",
            "base/5/t3_16384",
            "base/5/1/1259",
            "pg_xact/0000",
            "pg_wal/000000010000000000000001",
            "1259",
            "base/1259",
            "base/5/+1",
            "base/5/99999999999",
        ] {
            assert_eq!(found(other, true), None, "{other}");
        }
        assert_eq!(found("base/5/1259", false), None);
    }
}
