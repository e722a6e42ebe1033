//! From bytes to stored objects, and back.
//!
//! Writing: blocks are compressed on worker threads, each into a zstd frame of its own,
//! put in order again, encrypted, cut into objects of a capped size, and uploaded, to two
//! stores at once where there are two. A block
//! goes to worker `i mod n` and is fetched from worker `i mod n`, so that order needs no
//! bookkeeping. Every queue is bounded: a slow store slows the reader down.
//!
//! Reading is the reverse, on one thread: decryption and decompression together are much
//! faster than what loads the data.

mod chunks;
mod compress;
mod objects;
mod open;
mod seal;

pub(crate) use chunks::{CHUNKS, ChunkReader};
pub(crate) use compress::{Block, CompressorSettings, Compressors, Frames};
pub(crate) use objects::{StoredObject, Uploaders, upload};
pub(crate) use open::{Opened, cause_of, open_object, read_small};
pub(crate) use seal::{Sealer, seal_small};
