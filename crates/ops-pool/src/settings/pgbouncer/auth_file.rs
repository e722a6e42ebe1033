//! PgBouncer's `auth_file`: lines of `"user" "password"`.

use ops_core::Secret;

use super::quoted::quoted;

/// What the file holds for a user.
pub(super) enum Found {
    /// A password that logs in to a server.
    Password(Secret),
    /// A hash, by which only PgBouncer can check a client.
    Hash,
    Nothing,
}

pub(super) fn lookup(text: &str, user: &str) -> Found {
    let line = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| {
            let (name, rest) = quoted(line, '"')?;
            let (password, _) = quoted(rest.trim_start(), '"')?;
            Some((name, password))
        })
        // A later line replaces an earlier one.
        .rfind(|(name, _)| name == user);
    match line {
        None => Found::Nothing,
        Some((_, password)) if password.is_empty() => Found::Nothing,
        Some((_, password)) if is_hash(&password) => Found::Hash,
        Some((_, password)) => Found::Password(Secret::new(password)),
    }
}

/// Told apart as PgBouncer does: `md5` with 32 digits, or a SCRAM secret.
fn is_hash(password: &str) -> bool {
    let md5 = password
        .strip_prefix("md5")
        .is_some_and(|it| it.len() == 32 && it.bytes().all(|byte| byte.is_ascii_hexdigit()));
    md5 || password.starts_with("SCRAM-SHA-256$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_user_is_found_and_a_hash_is_none() {
        let text = "; comment\n\"app\" \"old\"\n\n  \"app\" \"a\"\"b\" rest\n\"md\" \"md545f2603610af569b6155c45067268c6b\"\n\
                    \"scram\" \"SCRAM-SHA-256$4096:c2FsdA==$x:y\"\n\"empty\" \"\"\n\"short\" \"md5\"\n";
        assert!(
            matches!(lookup(text, "app"), Found::Password(it) if it.expose() == "a\"b"),
            "the last line counts"
        );
        assert!(matches!(lookup(text, "md"), Found::Hash));
        assert!(matches!(lookup(text, "scram"), Found::Hash));
        assert!(matches!(lookup(text, "empty"), Found::Nothing));
        assert!(matches!(lookup(text, "nobody"), Found::Nothing));
        assert!(matches!(lookup(text, "short"), Found::Password(_)));
    }
}
