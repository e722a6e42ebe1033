//! The two forms of the stream, brought to one.

use bytes::Bytes;
use ops_core::Result;

use super::{BackupEvent, BackupStart, Tablespace};
use crate::error::protocol;
use crate::wire::Fields;

/// Two blocks of zeros end a tar archive.
static END_OF_ARCHIVE: [u8; 1024] = [0; 1024];

/// Tells archives, manifest and progress apart, and that nothing is missing.
#[derive(Debug)]
pub(super) struct Demux {
    form: Form,
    /// The tablespaces whose archives have not come yet, in the order of the list.
    expected: Vec<Tablespace>,
    /// Whether the main archive has not come yet.
    expects_main: bool,
    /// Whether the manifest has not come yet.
    expects_manifest: bool,
    part: Part,
    in_copy: bool,
    pending: Option<BackupEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Before 15: a copy per archive, in the order of the list, then one for the manifest.
    CopyPerArchive,
    /// From 15 on: one copy, in which each message begins with its kind.
    OneCopy,
}

/// What data belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nothing,
    Archive,
    Manifest,
}

pub(super) enum Piece {
    Event(BackupEvent),
    Nothing,
}

impl Demux {
    pub(super) fn new(major: u32, start: &BackupStart, expects_manifest: bool) -> Self {
        let form = if major < 15 {
            Form::CopyPerArchive
        } else {
            Form::OneCopy
        };
        Self {
            form,
            expected: start.tablespaces.clone(),
            expects_main: true,
            expects_manifest,
            part: Part::Nothing,
            in_copy: false,
            pending: None,
        }
    }

    /// What is to be handed out before the next message is looked at.
    pub(super) fn pending(&mut self) -> Option<BackupEvent> {
        self.pending.take()
    }

    pub(super) fn copy_begins(&mut self) -> Result<()> {
        if self.in_copy || self.part != Part::Nothing {
            return Err(protocol("the server begins a stream within a stream"));
        }
        self.in_copy = true;
        if self.form == Form::CopyPerArchive {
            let event = if !self.expected.is_empty() {
                let tablespace = self.expected.remove(0);
                self.archive_begins(Some(tablespace))?
            } else if self.expects_main {
                self.archive_begins(None)?
            } else {
                self.manifest_begins()?
            };
            self.pending = Some(event);
        }
        Ok(())
    }

    pub(super) fn copy_ends(&mut self) -> Result<()> {
        if !self.in_copy {
            return Err(protocol("the server ends a stream that it has not begun"));
        }
        self.in_copy = false;
        if self.form == Form::CopyPerArchive && self.part == Part::Archive {
            self.pending = Some(BackupEvent::Data(Bytes::from_static(&END_OF_ARCHIVE)));
        }
        self.part = Part::Nothing;
        match self.form {
            Form::CopyPerArchive => Ok(()),
            Form::OneCopy => self.check_complete(),
        }
    }

    /// Fails where something has not come.
    pub(super) fn check_complete(&self) -> Result<()> {
        let problem = if self.in_copy {
            "the base backup ends in the middle of its data"
        } else if self.expects_main || !self.expected.is_empty() {
            "the base backup lacks an archive"
        } else if self.expects_manifest {
            "the base backup lacks its manifest"
        } else {
            return Ok(());
        };
        Err(protocol(problem))
    }

    pub(super) fn data(&mut self, mut body: Bytes) -> Result<Piece> {
        if !self.in_copy {
            return Err(protocol("the server sent data outside of a stream"));
        }
        if self.form == Form::OneCopy {
            let kind = body.first().copied();
            let content = body.split_off(body.len().min(1));
            return match kind {
                Some(b'd') => self.content(content),
                Some(b'n') => self.named_archive(content).map(Piece::Event),
                Some(b'm') => self.manifest_begins().map(Piece::Event),
                Some(b'p') => {
                    let mut fields = Fields::new(content);
                    let done = fields.u64()?;
                    fields.end()?;
                    Ok(Piece::Event(BackupEvent::Progress(done)))
                }
                _ => Err(protocol(
                    "the base backup holds a message of an unknown kind",
                )),
            };
        }
        self.content(body)
    }

    fn content(&self, data: Bytes) -> Result<Piece> {
        match self.part {
            _ if data.is_empty() => Ok(Piece::Nothing),
            Part::Archive => Ok(Piece::Event(BackupEvent::Data(data))),
            Part::Manifest => Ok(Piece::Event(BackupEvent::Manifest(data))),
            Part::Nothing => Err(protocol("the base backup holds data before any archive")),
        }
    }

    /// An archive of which the server tells the name.
    fn named_archive(&mut self, content: Bytes) -> Result<BackupEvent> {
        let mut fields = Fields::new(content);
        let name = fields.text()?;
        // The path of the tablespace, which the list has told.
        fields.cstr()?;
        fields.end()?;
        if name == "base.tar" {
            return self.archive_begins(None);
        }
        let oid: Option<u32> = name.strip_suffix(".tar").and_then(|oid| oid.parse().ok());
        let index = self.expected.iter().position(|it| Some(it.oid) == oid);
        match index {
            Some(index) => {
                let tablespace = self.expected.remove(index);
                self.archive_begins(Some(tablespace))
            }
            None => Err(protocol(
                "the base backup holds an archive that is not in its list",
            )),
        }
    }

    fn archive_begins(&mut self, tablespace: Option<Tablespace>) -> Result<BackupEvent> {
        let name = match &tablespace {
            Some(tablespace) => format!("{}.tar", tablespace.oid),
            None if self.expects_main => {
                self.expects_main = false;
                "base.tar".to_owned()
            }
            None => return Err(protocol("the base backup holds its main archive twice")),
        };
        if self.part == Part::Manifest {
            return Err(protocol(
                "the base backup holds an archive after its manifest",
            ));
        }
        self.part = Part::Archive;
        Ok(BackupEvent::Archive { name, tablespace })
    }

    fn manifest_begins(&mut self) -> Result<BackupEvent> {
        if !self.expects_manifest || self.expects_main || !self.expected.is_empty() {
            return Err(protocol(
                "the base backup holds a manifest that may not come now",
            ));
        }
        self.expects_manifest = false;
        self.part = Part::Manifest;
        Ok(BackupEvent::ManifestBegin)
    }
}
