//! The messages of the protocol that a replication client meets.
//!
//! Facts: PostgreSQL's manual, chapter "Frontend/Backend Protocol", sections "Message
//! Formats" and "Streaming Replication Protocol".

mod fields;
mod message;
mod reader;
mod rows;

pub(crate) use fields::Fields;
pub(crate) use message::{Frame, Message, tag};
pub(crate) use reader::Reader;
pub(crate) use rows::{Columns, values};
