//! What is refused, and what counts as the same.
