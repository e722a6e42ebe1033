#![doc = include_str!("../README.md")]

mod config;
mod database;
mod ping;

pub use config::PostgresBuilder;
pub use database::Postgres;
