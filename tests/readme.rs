//! The README's example is a doctest of this crate.
#![doc = include_str!("../README.md")]
