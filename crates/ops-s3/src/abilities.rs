//! What only some stores can do.

mod bucket;
mod lifecycle;
mod lock;
mod presign;
mod versions;
