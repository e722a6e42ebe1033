//! ObjectStore on the local file system.
