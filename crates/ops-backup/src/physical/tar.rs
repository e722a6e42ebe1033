//! Splits a tar archive as a PostgreSQL server writes it.
//!
//! Servers write plain ustar: files, folders, and the links in `pg_tblspc`, with names below
//! 100 bytes. Everything else is refused, since what is accepted here is written to a disk
//! some day.

/// The unit of an archive.
pub(crate) const BLOCK: usize = 512;
/// What ends an archive: two blocks of zeros.
pub(crate) const TRAILER: usize = 2 * BLOCK;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[error("{problem} at byte {offset}{}", Named(path))]
pub(crate) struct TarError {
    problem: &'static str,
    offset: u64,
    path: Option<String>,
}

struct Named<'a>(&'a Option<String>);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |path| write!(f, " ({path:?})"))
    }
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File,
    Dir,
    /// With what it points to.
    Symlink(Vec<u8>),
}

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Without `./` before it and without a slash after it.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    pub(crate) mode: u32,
    pub(crate) mtime: i64,
    pub(crate) size: u64,
    /// Where in the archive the content begins.
    pub(crate) offset: u64,
}

impl Member {
    /// How many zeros follow the content.
    pub(crate) fn padding(&self) -> usize {
        padding(self.size)
    }
}

fn padding(size: u64) -> usize {
    let rest = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    if rest == 0 { 0 } else { BLOCK - rest }
}

/// A piece of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A member begins; [`Splitter::header`] has its header.
    Member(Member),
    /// Bytes of the member's content.
    Content(&'a [u8]),
    /// The member's content is whole. So many zeros follow it.
    End(usize),
    /// The two blocks of zeros have come.
    Trailer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a header, of which so much has come.
    Header(usize),
    /// In a member's content: what is left of it, and the padding that follows.
    Content(u64, usize),
    /// So many zeros are left of the padding.
    Padding(usize),
    /// After the first block of zeros; so much of the second has come.
    Zeros(usize),
    /// After the end.
    Done,
}

/// Splits one archive into its members.
#[derive(Debug)]
pub(crate) struct Splitter {
    main: bool,
    state: State,
    header: [u8; BLOCK],
    position: u64,
}

impl Splitter {
    /// `main` for the archive of the main data folder, else that of a tablespace.
    pub(crate) fn new(main: bool) -> Self {
        Self {
            main,
            state: State::Header(0),
            header: [0; BLOCK],
            position: 0,
        }
    }

    /// How many bytes have been taken.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The header of the member that began last.
    pub(crate) fn header(&self) -> &[u8; BLOCK] {
        &self.header
    }

    /// The next piece, and takes what it consists of from `data`; `None` where more data is
    /// needed.
    pub(crate) fn next<'a>(&mut self, data: &mut &'a [u8]) -> Result<Option<Piece<'a>>, TarError> {
        loop {
            match self.state {
                State::Header(filled) => {
                    let taken = self.take(data, BLOCK - filled);
                    if let Some(room) = self.header.get_mut(filled..filled + taken.len()) {
                        room.copy_from_slice(taken);
                    }
                    let filled = filled + taken.len();
                    self.state = State::Header(filled);
                    if filled < BLOCK {
                        return Ok(None);
                    }
                    if self.header.iter().all(|byte| *byte == 0) {
                        self.state = State::Zeros(0);
                        continue;
                    }
                    let member = self.member()?;
                    self.state = State::Content(member.size, member.padding());
                    return Ok(Some(Piece::Member(member)));
                }
                State::Content(0, padding) => {
                    self.state = State::Padding(padding);
                    return Ok(Some(Piece::End(padding)));
                }
                State::Content(left, padding) => {
                    let taken = self.take(data, usize::try_from(left).unwrap_or(usize::MAX));
                    if taken.is_empty() {
                        return Ok(None);
                    }
                    self.state = State::Content(left - taken.len() as u64, padding);
                    return Ok(Some(Piece::Content(taken)));
                }
                State::Padding(left) => {
                    let taken = self.zeros(data, left, "padding that is not zero")?;
                    if taken < left {
                        self.state = State::Padding(left - taken);
                        return Ok(None);
                    }
                    self.state = State::Header(0);
                }
                State::Zeros(seen) => {
                    let taken = self.zeros(data, BLOCK - seen, "a header of zeros")?;
                    if seen + taken < BLOCK {
                        self.state = State::Zeros(seen + taken);
                        return Ok(None);
                    }
                    self.state = State::Done;
                    return Ok(Some(Piece::Trailer));
                }
                State::Done if data.is_empty() => return Ok(None),
                State::Done => return Err(self.wrong("data after the end of the archive")),
            }
        }
    }

    /// Whether the archive's trailer came; fails where the archive ends in a member.
    /// Servers before 15 send none.
    pub(crate) fn finish(&self) -> Result<bool, TarError> {
        match self.state {
            State::Done => Ok(true),
            State::Header(0) => Ok(false),
            _ => Err(self.wrong("the archive ends early")),
        }
    }

    fn take<'a>(&mut self, data: &mut &'a [u8], most: usize) -> &'a [u8] {
        let (taken, rest) = data.split_at(most.min(data.len()));
        *data = rest;
        self.position += taken.len() as u64;
        taken
    }

    fn zeros(
        &mut self,
        data: &mut &[u8],
        most: usize,
        problem: &'static str,
    ) -> Result<usize, TarError> {
        let taken = self.take(data, most);
        if taken.iter().all(|byte| *byte == 0) {
            Ok(taken.len())
        } else {
            Err(self.wrong(problem))
        }
    }

    #[cold]
    fn wrong(&self, problem: &'static str) -> TarError {
        TarError {
            problem,
            offset: self.position,
            path: None,
        }
    }

    /// The member that the header describes.
    fn member(&self) -> Result<Member, TarError> {
        let header = Header(&self.header);
        let wrong = |problem| self.wrong(problem);
        header.check_form().map_err(wrong)?;
        let name = header.text(0, 100).ok_or("a name that does not end");
        let name = name.map_err(wrong)?;
        let named = |problem| TarError {
            path: Some(String::from_utf8_lossy(name).into_owned()),
            ..self.wrong(problem)
        };
        let path = checked_path(name, self.main).map_err(named)?;
        let number = |at, len| header.number(at, len).ok_or(named("a bad number"));
        let size = number(124, 12)?;
        let link = header.text(157, 100).ok_or(named("a link without end"))?;
        let kind = match header.byte(156) {
            Some(b'0') => MemberKind::File,
            Some(b'5') => MemberKind::Dir,
            Some(b'2') if self.main && is_tablespace(path) && link.starts_with(b"/") => {
                MemberKind::Symlink(link.to_vec())
            }
            Some(b'2') => return Err(named("a link that may not be")),
            _ => return Err(named("a member that is no file, folder or link")),
        };
        if size != 0 && kind != MemberKind::File {
            return Err(named("a folder or link with content"));
        }
        if !link.is_empty() && !matches!(kind, MemberKind::Symlink(_)) {
            return Err(named("a target of what is no link"));
        }
        if name.ends_with(b"/") && kind == MemberKind::File {
            return Err(named("a file with the name of a folder"));
        }
        let mode = u32::try_from(number(100, 8)?).map_err(|_| named("a bad mode"))?;
        let mtime = i64::try_from(number(136, 12)?).map_err(|_| named("a bad time"))?;
        Ok(Member {
            path: path.to_vec(),
            kind,
            mode: mode & 0o7777,
            mtime,
            size,
            offset: self.position,
        })
    }
}

/// A header block.
struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn field(&self, at: usize, len: usize) -> &[u8] {
        self.0.get(at..at + len).unwrap_or_default()
    }

    /// What is the same in every header of a server.
    fn check_form(&self) -> Result<(), &'static str> {
        if self.field(257, 8) != b"ustar\x0000" {
            return Err("no ustar header");
        }
        if self.field(345, 167).iter().any(|byte| *byte != 0) {
            return Err("a header with a prefix");
        }
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = self.field(148, 8).iter().map(|byte| u64::from(*byte)).sum();
        // The sum is made with blanks in its own place.
        if self.number(148, 8) == Some(sum - own + 8 * u64::from(b' ')) {
            Ok(())
        } else {
            Err("a header with a wrong checksum")
        }
    }

    /// Text that ends with a zero byte, and has nothing after it.
    fn text(&self, at: usize, len: usize) -> Option<&[u8]> {
        let field = self.field(at, len);
        let end = field.iter().position(|byte| *byte == 0)?;
        let (text, rest) = field.split_at(end);
        rest.iter().all(|byte| *byte == 0).then_some(text)
    }

    /// Octal digits, ended by a blank or zero; or the large form: a byte of 128, and the
    /// number in big-endian bytes.
    fn number(&self, at: usize, len: usize) -> Option<u64> {
        let field = self.field(at, len);
        if let Some((128, bytes)) = field.split_first() {
            let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
            let fits = high.iter().all(|byte| *byte == 0);
            let number = low.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            return (fits && i64::try_from(number).is_ok()).then_some(number);
        }
        let end = field.iter().position(|byte| matches!(byte, b' ' | 0))?;
        let (digits, rest) = field.split_at(end);
        let octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
        let ended = rest.iter().all(|byte| matches!(byte, b' ' | 0));
        (octal && ended && !digits.is_empty()).then(|| {
            digits
                .iter()
                .fold(0, |sum, digit| sum << 3 | u64::from(digit - b'0'))
        })
    }
}

/// A name without `./` before it and a slash after it, if it stays inside its folder.
fn checked_path(name: &[u8], main: bool) -> Result<&[u8], &'static str> {
    let path = name.strip_prefix(b"./").unwrap_or(name);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let mut parts = path.split(|byte| *byte == b'/');
    if parts.clone().any(|part| matches!(part, b"" | b"." | b"..")) {
        return Err("a name that leads elsewhere");
    }
    if !main && !parts.next().is_some_and(|part| part.starts_with(b"PG_")) {
        return Err("a name that no tablespace has");
    }
    Ok(path)
}

/// Whether this is `pg_tblspc/<oid>`.
fn is_tablespace(path: &[u8]) -> bool {
    path.strip_prefix(b"pg_tblspc/")
        .is_some_and(|oid| !oid.is_empty() && oid.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests;
