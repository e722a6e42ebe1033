#![doc = include_str!("../README.md")]

mod config;
mod database;

pub use config::PostgresBuilder;
pub use database::Postgres;
