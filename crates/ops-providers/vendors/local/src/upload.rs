//! Content on its way into a temporary file.

use std::io::{self, IoSlice, Write};

use bytes::Bytes;
use ops_core::Result;
use ops_core::object_store::{Checksum, ObjectMeta, PutCondition, PutOptions};

use crate::commit::{Commit, Sealed};
use crate::error::Context;
use crate::key::KeyPath;
use crate::meta::{BLOCK_BYTES, Candidate, MetaWriter};
use crate::root::Facts;
use crate::store::Store;
use crate::sums::{Sums, check_algorithm};
use crate::temp::{TempFile, random};
use crate::version::check_early;

/// An object that is being written. Dropping it removes what was written.
#[derive(Debug)]
pub(crate) struct Upload {
    data: TempFile,
    table: MetaWriter,
    sums: Sums,
    expected: Option<Checksum>,
    condition: PutCondition,
}

impl Upload {
    /// Begins a write, unless it is clear already that it cannot succeed.
    pub(crate) fn begin(store: &Store, key: &KeyPath, options: PutOptions) -> Result<Self> {
        let temp = store.temp()?;
        check_algorithm(options.checksum)?;
        check_early(store.root(), key, &options.condition)?;
        Ok(Self {
            data: temp.create()?,
            table: MetaWriter::new(temp.create()?),
            sums: Sums::new(options.checksum),
            expected: options.checksum,
            condition: options.condition,
        })
    }

    /// Writes the next bytes.
    pub(crate) fn write(&mut self, parts: &[Bytes]) -> Result<()> {
        let Self {
            data, table, sums, ..
        } = self;
        for part in parts {
            sums.update(part, |crc| table.push(crc))
                .cannot("write the block checksums")?;
        }
        write_all(data, parts).cannot("write the object")
    }

    /// Makes the object visible, and returns when it is durable.
    pub(crate) fn commit(self, store: &Store, key: &KeyPath) -> Result<ObjectMeta> {
        let (sealed, condition) = self.seal(store)?;
        Commit::begin(store, key, &condition, sealed)?.run()
    }

    /// Compares the checksum and syncs the content.
    pub(crate) fn seal(self, store: &Store) -> Result<(Sealed, PutCondition)> {
        let Self {
            data,
            mut table,
            mut sums,
            expected,
            condition,
        } = self;
        let blake3 = sums
            .finish(|crc| table.push(crc))
            .cannot("write the block checksums")?;
        sums.compare(expected)?;
        store.root().sync(data.file()).cannot("sync the object")?;
        let facts = Facts::of_file(data.file()).cannot("look at the object")?;
        let new = Candidate {
            version: random(),
            size_bytes: sums.size_bytes(),
            blake3,
            block_bytes: BLOCK_BYTES,
            table_offset: 0,
            inode: facts.inode,
            modified_ns: facts.modified_ns,
        };
        Ok((
            Sealed {
                data,
                table,
                new,
                facts,
            },
            condition,
        ))
    }
}

fn write_all(file: &mut impl Write, parts: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    // Drops empty slices at the front, of which nothing could be written.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}
