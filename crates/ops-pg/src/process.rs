//! Child processes that are supervised: no shell, no secret in an argument, no orphan.
