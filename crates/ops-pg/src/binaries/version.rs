//! Versions of PostgreSQL.

use std::fmt;

use ops_core::{Error, ErrorKind, Result};

/// A major version, such as 15. On-disk formats and wire features go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Major(pub u32);

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An exact version, such as 15.18. Prints as the program printed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    major: Major,
    minor: u32,
    text: String,
}

impl Version {
    /// Reads what a program of PostgreSQL 10 or newer prints for `--version`, such as
    /// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` or `postgres (PostgreSQL) 19devel`.
    ///
    /// # Errors
    /// `Decode` where the text is nothing of the kind.
    pub fn parse_output(output: &str) -> Result<Self> {
        let line = output.lines().next().unwrap_or_default().trim();
        let after = line.split_once("(PostgreSQL) ").map(|(_, after)| after);
        let text = after.and_then(|after| after.split_whitespace().next());
        text.and_then(Self::parse).ok_or_else(|| {
            let shown: String = line.chars().take(80).collect();
            Error::new(
                ErrorKind::Decode,
                format!("{shown:?} is not a version of PostgreSQL"),
            )
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| {
            text.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len())
        };
        let (major, rest) = text.split_at(digits(text));
        let major = major.parse().ok().filter(|&major| major >= 10)?;
        // A development, beta or release candidate version has no minor yet.
        let minor = match rest.strip_prefix('.') {
            Some(minor) => minor.get(..digits(minor))?.parse().ok()?,
            None => 0,
        };
        Some(Self {
            major: Major(major),
            minor,
            text: text.to_owned(),
        })
    }

    /// The major version.
    #[must_use]
    pub fn major(&self) -> Major {
        self.major
    }

    /// The minor version; 0 before the release.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// The version as the program prints it, such as `18beta1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(output: &str, major: u32, minor: u32, text: &str) {
        let version = Version::parse_output(output).unwrap();
        assert_eq!((version.major(), version.minor()), (Major(major), minor));
        assert_eq!(version.to_string(), text);
    }

    #[test]
    fn versions_are_read_as_programs_print_them() {
        reads(
            "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
            15,
            18,
            "15.18",
        );
        reads("postgres (PostgreSQL) 18.4\n", 18, 4, "18.4");
        reads("psql (PostgreSQL) 19devel\n", 19, 0, "19devel");
        reads("psql (PostgreSQL) 18beta1\n", 18, 0, "18beta1");
        reads(
            "postgres (PostgreSQL) 16.2.1-vendor\n",
            16,
            2,
            "16.2.1-vendor",
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for output in [
            "",
            "pg_dump",
            "mysqld  Ver 8.0.36",
            "postgres (PostgreSQL) ",
            "postgres (PostgreSQL) next",
            "postgres (PostgreSQL) 15.x",
            "postgres (PostgreSQL) 9.6.24",
            "postgres (PostgreSQL) 99999999999999",
        ] {
            let err = Version::parse_output(output).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Decode, "{output}");
        }
    }
}
