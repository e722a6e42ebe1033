#![cfg_attr(feature = "contract", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "contract"),
    doc = "What every provider must pass before it is trusted."
)]

#[cfg(feature = "contract")]
pub mod contract;
