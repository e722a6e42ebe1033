//! The configuration of a throwaway server.
//!
//! It lies beside the data folder, not in it: the folder may be a restored one, whose own
//! files belong to another server. `postgresql.auto.conf` of the data folder is read
//! after ours, so what must hold is on the command line.

use ops_core::{Error, ErrorKind, Result};

use super::builder::Options;
use super::folder::{ServerFolder, write as write_file};
use super::port::ReservedPort;

/// Writes `postgresql.conf` and `pg_hba.conf`.
pub(super) fn write(folder: &ServerFolder, options: &Options) -> Result<()> {
    let (conf, hba) = (postgresql_conf(options)?, pg_hba(options)?);
    for (name, text) in [("postgresql.conf", conf), ("pg_hba.conf", hba)] {
        write_file(
            &folder.path().join(name),
            text.as_bytes(),
            options.user.as_ref(),
        )?;
    }
    write_file(
        &folder.path().join("pg_ident.conf"),
        b"",
        options.user.as_ref(),
    )
}

fn postgresql_conf(options: &Options) -> Result<String> {
    // A throwaway server shares its machine with a service that matters more.
    let mut lines = vec![
        line("shared_buffers", "32MB"),
        // In the data folder, so that a killed server leaves none in /dev/shm, which is
        // small in many containers.
        line("dynamic_shared_memory_type", "mmap"),
        line("log_line_prefix", "%m [%p] "),
        line("log_timezone", "UTC"),
        line("timezone", "UTC"),
    ];
    if !options.durable {
        let names = ["fsync", "synchronous_commit", "full_page_writes"];
        lines.extend(names.map(|name| line(name, "off")));
    }
    for (name, value) in &options.settings.0 {
        check_setting(name, value)?;
        lines.push(line(name, value));
    }
    Ok(lines.concat())
}

fn line(name: &str, value: &str) -> String {
    format!(
        "{name} = '{}'\n",
        value.replace('\\', "\\\\").replace('\'', "''")
    )
}

/// The settings that hold whatever the data folder says.
pub(super) fn overrides(
    folder: &ServerFolder,
    options: &Options,
    port: &ReservedPort,
) -> Result<Vec<(String, String)>> {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut settings = vec![
        ("config_file".to_owned(), path("postgresql.conf")),
        ("hba_file".to_owned(), path("pg_hba.conf")),
        ("ident_file".to_owned(), path("pg_ident.conf")),
        (
            "unix_socket_directories".to_owned(),
            folder.socket_dir().display().to_string(),
        ),
        ("unix_socket_permissions".to_owned(), "0700".to_owned()),
        ("port".to_owned(), port.number().to_string()),
        (
            "listen_addresses".to_owned(),
            if options.tcp { "127.0.0.1" } else { "" }.to_owned(),
        ),
        ("log_destination".to_owned(), "stderr".to_owned()),
        ("logging_collector".to_owned(), "off".to_owned()),
    ];
    for (name, value) in &options.overrides.0 {
        check_setting(name, value)?;
        settings.push((name.clone(), value.clone()));
    }
    Ok(settings)
}

fn pg_hba(options: &Options) -> Result<String> {
    if options
        .hba
        .iter()
        .any(|line| line.contains(['\n', '\r', '\0']))
    {
        return Err(invalid("a line of pg_hba.conf is one line"));
    }
    let over_tcp = if options.password.is_some() {
        "scram-sha-256"
    } else {
        "trust"
    };
    let mut lines = options.hba.clone();
    for databases in ["all", "replication"] {
        lines.push(format!("local {databases} all trust"));
        lines.push(format!("host {databases} all 127.0.0.1/32 {over_tcp}"));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn check_setting(name: &str, value: &str) -> Result<()> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(known) {
        return Err(invalid(format!("{name:?} is not the name of a setting")));
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err(invalid(format!("the value of {name} must be one line")));
    }
    Ok(())
}

#[cold]
fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}
