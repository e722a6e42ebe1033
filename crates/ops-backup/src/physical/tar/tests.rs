use super::*;

/// A header as a server writes it.
fn header(name: &str, typeflag: u8, size: u64, link: &str) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600 ");
    put(108, "0000765 ");
    put(116, "0000765 ");
    put(124, &format!("{size:011o} "));
    put(136, "14371573430 ");
    put(157, link);
    put(257, "ustar\0");
    put(263, "00");
    put(265, "postgres");
    put(297, "postgres");
    put(329, "0000000 ");
    put(337, "0000000 ");
    block[156] = typeflag;
    sum(&mut block);
    block
}

fn sum(block: &mut [u8; BLOCK]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:07o} ").as_bytes());
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = header(name, b'0', content.len() as u64, "").to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    archive
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    member: Member,
    content: Vec<u8>,
}

/// Splits an archive that comes in messages of `step` bytes.
fn split(archive: &[u8], step: usize, main: bool) -> Result<(Vec<Found>, bool), TarError> {
    let mut splitter = Splitter::new(main);
    let mut found: Vec<Found> = Vec::new();
    for mut data in archive.chunks(step) {
        while let Some(piece) = splitter.next(&mut data)? {
            match piece {
                Piece::Member(member) => found.push(Found {
                    member,
                    content: Vec::new(),
                }),
                Piece::Content(bytes) => found.last_mut().unwrap().content.extend_from_slice(bytes),
                Piece::End(padding) => assert_eq!(padding, found.last().unwrap().member.padding()),
                Piece::Trailer => {}
            }
        }
        assert!(data.is_empty());
    }
    assert_eq!(splitter.position(), archive.len() as u64);
    Ok((found, splitter.finish()?))
}

fn sample() -> Vec<u8> {
    let mut archive = file("backup_label", b"START WAL LOCATION");
    archive.extend(header("./pg_wal/archive_status/", b'5', 0, ""));
    archive.extend(header("pg_tblspc/16385/", b'2', 0, "/mnt/fast"));
    archive.extend(file("base/5/PG_VERSION", b""));
    archive.extend(file("base/5/1259", &[7; 8192]));
    archive
}

#[test]
fn members_come_out_whole_however_the_bytes_arrive() {
    let mut archive = sample();
    for trailer in [false, true] {
        if trailer {
            archive.resize(archive.len() + TRAILER, 0);
        }
        let whole = split(&archive, archive.len(), true).unwrap();
        assert_eq!(whole.1, trailer);
        for step in [1, 2, 511, 512, 513, 4096] {
            assert_eq!(split(&archive, step, true).unwrap(), whole, "{step}");
        }
        let found: Vec<_> = whole
            .0
            .iter()
            .map(|it| (it.member.path.as_slice(), &it.member.kind, it.content.len()))
            .collect();
        let link = MemberKind::Symlink(b"/mnt/fast".to_vec());
        let expected: [(&[u8], _, _); 5] = [
            (b"backup_label", &MemberKind::File, 18),
            (b"pg_wal/archive_status", &MemberKind::Dir, 0),
            (b"pg_tblspc/16385", &link, 0),
            (b"base/5/PG_VERSION", &MemberKind::File, 0),
            (b"base/5/1259", &MemberKind::File, 8192),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            (whole.0[0].member.mode, whole.0[0].member.offset),
            (0o600, 512)
        );
        assert_eq!(whole.0[4].member.offset, 512 + 512 + 3 * 512 + 512);
    }
}

#[test]
fn a_size_beyond_the_octal_digits_is_read() {
    let mut block = header("base/5/16384", b'0', 0, "");
    block[124..136].copy_from_slice(&[128, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]);
    sum(&mut block);
    let (found, _) = split(&block, BLOCK, true).map_or_else(
        |err| (err.to_string(), false),
        |_| panic!("the content is missing"),
    );
    assert!(found.contains("ends early"), "{found}");
    let mut splitter = Splitter::new(true);
    let piece = splitter.next(&mut block.as_slice()).unwrap().unwrap();
    assert!(matches!(piece, Piece::Member(member) if member.size == 3 << 32));
}

#[test]
fn what_no_server_writes_is_refused() {
    let change = |at: usize, byte: u8| {
        let mut block = header("base/5/1259", b'0', 0, "");
        block[at] = byte;
        sum(&mut block);
        block.to_vec()
    };
    let mut unsummed = header("base/5/1259", b'0', 0, "");
    unsummed[0] = b'c';
    let mut padded = file("a", b"x");
    padded[BLOCK + 1] = 1;
    let mut after = vec![0; TRAILER];
    after.push(0);
    let mut half = vec![0; TRAILER];
    half[700] = 1;
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("absolute", header("/etc/passwd", b'0', 0, "").to_vec()),
        (
            "parent",
            header("base/../../etc/passwd", b'0', 0, "").to_vec(),
        ),
        ("parent folder", header("..", b'5', 0, "").to_vec()),
        ("dot", header("base/./x", b'0', 0, "").to_vec()),
        ("itself", header("./", b'5', 0, "").to_vec()),
        ("empty", header("", b'5', 0, "").to_vec()),
        ("empty part", header("base//x", b'0', 0, "").to_vec()),
        ("twice dotted", header("././x", b'0', 0, "").to_vec()),
        (
            "no end of name",
            header(&"x".repeat(100), b'0', 0, "").to_vec(),
        ),
        ("hard link", header("a", b'1', 0, "b").to_vec()),
        ("device", header("a", b'3', 0, "").to_vec()),
        ("fifo", header("a", b'6', 0, "").to_vec()),
        ("pax", header("a", b'x', 0, "").to_vec()),
        ("GNU name", header("a", b'L', 0, "").to_vec()),
        ("old file", header("a", 0, 0, "").to_vec()),
        ("link elsewhere", header("base/5", b'2', 0, "/etc").to_vec()),
        (
            "link in a link",
            header("pg_tblspc/1/2", b'2', 0, "/etc").to_vec(),
        ),
        (
            "link of no oid",
            header("pg_tblspc/x", b'2', 0, "/etc").to_vec(),
        ),
        (
            "relative link",
            header("pg_tblspc/1", b'2', 0, "../../etc").to_vec(),
        ),
        ("folder with content", header("a/", b'5', 512, "").to_vec()),
        ("file with target", header("a", b'0', 0, "/etc").to_vec()),
        ("file as folder", header("a/", b'0', 0, "").to_vec()),
        ("other magic", change(261, b' ')),
        ("prefix", change(345, b'x')),
        ("bad size", change(130, b'9')),
        ("negative size", change(124, 255)),
        ("bad mode", change(100, b'-')),
        ("sum", unsummed.to_vec()),
        ("padding", padded),
        ("cut header", sample()[..100].to_vec()),
        ("cut content", sample()[..BLOCK + 3].to_vec()),
        ("cut padding", sample()[..BLOCK + 30].to_vec()),
        ("half a trailer", vec![0; BLOCK]),
        ("after the trailer", after),
        ("odd trailer", half),
    ];
    for (what, archive) in refused {
        assert!(split(&archive, 300, true).is_err(), "{what}");
    }
}

#[test]
fn the_archive_of_a_tablespace_has_no_links_and_one_root() {
    let root = "PG_15_202209061";
    assert!(split(&header(root, b'5', 0, ""), BLOCK, false).is_ok());
    assert!(split(&file("PG_15_202209061/5/1259", b"x"), BLOCK, false).is_ok());
    for (name, typeflag, link) in [("base", b'5', ""), ("pg_tblspc/16385/", b'2', "/mnt")] {
        assert!(
            split(&header(name, typeflag, 0, link), BLOCK, false).is_err(),
            "{name}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn nothing_makes_it_panic(mut archive in proptest::collection::vec(0_u8..=255, 0..2048), at in 0_usize..2048, with in 0_u8..=255) {
        let _ = split_quietly(&archive);
        archive = sample();
        archive[at] = with;
        let _ = split_quietly(&archive);
    }
}

fn split_quietly(archive: &[u8]) -> Result<(), TarError> {
    let mut splitter = Splitter::new(true);
    let mut data = archive;
    while splitter.next(&mut data)?.is_some() {}
    splitter.finish().map(drop)
}
