//! What is done about servers and networks that fail, on every server whose answers can be
//! broken.

mod answers;
mod contents;
mod requests;
