//! The client against real servers of every installed major, and against a scripted one.

mod backup;
mod commands;
mod fake;
mod login;
mod scripted;
mod support;
mod tar;
mod timelines;
mod wal;
