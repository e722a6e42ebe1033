//! The user that a child runs as.

use std::fs;

use ops_core::{Error, ErrorKind, Result};

const PASSWD: &str = "/etc/passwd";

/// The users that servers run as when we are root and nobody says otherwise.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// The user of that name.
    ///
    /// # Errors
    /// `NotFound` where `/etc/passwd` has no such user.
    pub fn by_name(name: &str) -> Result<Self> {
        let passwd = read_passwd()?;
        find(&passwd, name).ok_or_else(|| no_such_user(&[name]))
    }

    /// The user and group with these numbers, by whatever name.
    pub(crate) fn by_ids(uid: u32, gid: u32) -> Self {
        Self {
            name: uid.to_string(),
            uid,
            gid,
        }
    }

    /// The user that a server must run as: PostgreSQL refuses to run as root.
    ///
    /// None where we are not root, or are that very user already. Otherwise the
    /// preferred user, or by default `postgres` or else `nobody`.
    ///
    /// # Errors
    /// `NotFound` where there is no such user, `InvalidConfig` where a user is preferred
    /// that we cannot become or that is root.
    pub fn unprivileged(preferred: Option<&str>) -> Result<Option<Self>> {
        let ours = rustix::process::geteuid().as_raw();
        if ours != 0 && preferred.is_none() {
            return Ok(None);
        }
        let passwd = read_passwd()?;
        let user = match preferred {
            Some(name) => find(&passwd, name).ok_or_else(|| no_such_user(&[name]))?,
            None => UNPRIVILEGED
                .iter()
                .find_map(|name| find(&passwd, name))
                .ok_or_else(|| no_such_user(&UNPRIVILEGED))?,
        };
        match (ours, user.uid) {
            (_, 0) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "PostgreSQL refuses to run as root, and {} is root",
                    user.name
                ),
            )),
            (0, _) => Ok(Some(user)),
            (ours, theirs) if ours == theirs => Ok(None),
            (ours, _) => Err(Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "only root can run a program as {}; we are user {ours}",
                    user.name
                ),
            )),
        }
    }

    /// The user's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user's number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The number of the user's first group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }
}

fn read_passwd() -> Result<String> {
    let bytes = fs::read(PASSWD).map_err(|source| {
        Error::new(ErrorKind::NotFound, format!("{PASSWD} cannot be read")).with_source(source)
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Finds a user in the text of `/etc/passwd`: `name:password:uid:gid:...`.
fn find(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next().filter(|&found| found == name)?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(User {
            name: found.to_owned(),
            uid,
            gid,
        })
    })
}

#[cold]
fn no_such_user(names: &[&str]) -> Error {
    let names = names.join(" or ");
    Error::new(ErrorKind::NotFound, format!("{PASSWD} has no user {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "root:x:0:0:root:/root:/bin/bash\n\
        broken\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n\
        nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n";

    #[test]
    fn a_user_is_read_with_its_numbers() {
        let user = find(SAMPLE, "postgres").unwrap();
        assert_eq!(
            (user.name(), user.uid(), user.gid()),
            ("postgres", 101, 104)
        );
    }

    #[test]
    fn a_line_without_numbers_is_no_user() {
        assert_eq!(find(SAMPLE, "broken"), None);
    }

    #[test]
    fn a_missing_user_is_named_in_the_error() {
        let err = User::by_name("no-such-user-here").unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        assert!(err.to_string().contains("no-such-user-here"), "{err}");
    }

    #[test]
    fn root_is_never_the_unprivileged_user() {
        let err = User::unprivileged(Some("root")).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    }
}
