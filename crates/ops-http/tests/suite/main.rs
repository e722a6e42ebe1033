//! The transport against servers that fail in every way.

mod leak;
mod pages;
mod retry;
mod support;
mod tls;
mod wire;
