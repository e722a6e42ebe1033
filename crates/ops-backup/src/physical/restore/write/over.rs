//! Writing over a file that differs in some places.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What is compared and written at once: the page of a relation.
const PAGE: usize = 8192;

/// A file that is brought to another content. What it has already is not written again, so
/// that next to nothing has to get to the disk where a few pages differ.
pub(super) struct Over {
    file: File,
    /// How much of the old content there is.
    old_len: u64,
    position: u64,
    /// The old content of a piece.
    old: Vec<u8>,
}

impl Over {
    /// Takes a file that is open for reading and writing.
    pub(super) fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            old_len: file.metadata()?.len(),
            file,
            position: 0,
            old: Vec::new(),
        })
    }

    /// Goes on with a piece of the new content.
    pub(super) fn write(&mut self, new: &[u8]) -> io::Result<()> {
        let there = self.old_len.saturating_sub(self.position);
        let there = usize::try_from(there).unwrap_or(usize::MAX).min(new.len());
        self.old.resize(there, 0);
        self.file.read_exact_at(&mut self.old, self.position)?;
        let mut differs: Option<usize> = None;
        for at in (0..new.len()).step_by(PAGE) {
            let page = at..new.len().min(at + PAGE);
            let same = self.old.get(page.clone()) == new.get(page);
            match (same, differs) {
                (false, None) => differs = Some(at),
                (true, Some(from)) => {
                    self.put(new, from, at)?;
                    differs = None;
                }
                _ => {}
            }
        }
        if let Some(from) = differs {
            self.put(new, from, new.len())?;
        }
        self.position += new.len() as u64;
        Ok(())
    }

    fn put(&self, new: &[u8], from: usize, to: usize) -> io::Result<()> {
        let piece = new.get(from..to).unwrap_or_default();
        self.file.write_all_at(piece, self.position + from as u64)
    }

    /// Ends where the new content does.
    pub(super) fn finish(self) -> io::Result<()> {
        if self.old_len > self.position {
            self.file.set_len(self.position)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Brings a file from one content to another in pieces of this size.
    fn bring(old: &[u8], new: &[u8], piece: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, old).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let mut over = Over::new(file).unwrap();
        for piece in new.chunks(piece) {
            over.write(piece).unwrap();
        }
        over.finish().unwrap();
        fs::read(&path).unwrap()
    }

    #[test]
    fn whatever_a_file_held_it_holds_the_new_content_then() {
        let new: Vec<u8> = (0..=250).cycle().take(10 * PAGE + 77).collect();
        let mut changed = new.clone();
        for at in [0, 3 * PAGE + 5, 4 * PAGE, 10 * PAGE + 70] {
            changed[at] ^= 1;
        }
        let longer = [new.as_slice(), &vec![9; 3 * PAGE]].concat();
        let shorter = &changed[..=5 * PAGE];
        for old in [&[][..], &new, &changed, &longer, shorter] {
            for piece in [1000, PAGE, 3 * PAGE, 1 << 20] {
                assert!(bring(old, &new, piece) == new, "{} by {piece}", old.len());
            }
        }
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content = vec![7; 4 * PAGE];
        fs::write(&path, &content).unwrap();
        // A file that is not open for writing takes no byte.
        let mut over = Over::new(File::open(&path).unwrap()).unwrap();
        over.write(&content).unwrap();
        over.write(&[1]).unwrap_err();
    }
}
