//! The syntax of a connection URL, by the rules of libpq's `conninfo_uri_parse_options`.

use ops_core::Result;

use super::invalid;

/// A URL in its parts: keywords of libpq with decoded values, later ones win.
///
/// There is no `Debug`: a value may be the password.
pub(super) struct Parts {
    pub(super) values: Vec<(String, Vec<u8>)>,
    /// Whether names of parameters may be printed. Where an `@` follows the first `/`
    /// of a URL without user, all of it may be an unescaped password.
    pub(super) names_are_safe: bool,
}

pub(super) fn split(url: &str) -> Result<Parts> {
    let rest = ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme))
        .ok_or_else(|| invalid("does not begin with postgres:// or postgresql://"))?;
    let mut parts = Parts {
        values: Vec::new(),
        names_are_safe: true,
    };

    let end_of_authority = rest.find('/').unwrap_or(rest.len());
    let rest = match rest.find('@') {
        Some(at) if at < end_of_authority => {
            let (user_info, rest) = (&rest[..at], &rest[at + 1..]);
            let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
            parts.push("user", user)?;
            parts.push("password", password)?;
            rest
        }
        found => {
            parts.names_are_safe = found.is_none();
            rest
        }
    };

    let (host, rest) = split_host(rest)?;
    parts.push("host", host)?;
    let rest = match rest.strip_prefix(':') {
        Some(rest) => {
            let end = rest.find(['/', '?', ',']).unwrap_or(rest.len());
            parts.push("port", &rest[..end])?;
            &rest[end..]
        }
        None => rest,
    };
    if rest.starts_with(',') {
        return Err(invalid("names several hosts; name the one that is meant"));
    }

    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(database) = path.strip_prefix('/') {
        if database.contains('@') {
            return Err(invalid(
                "has an @ after the first /; write / as %2F and @ as %40 in a user, a password or a name",
            ));
        }
        parts.push("dbname", database)?;
    }
    parts.push_query(query)?;
    Ok(parts)
}

fn split_host(rest: &str) -> Result<(&str, &str)> {
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, rest) = inner
            .split_once(']')
            .ok_or_else(|| invalid("has an IPv6 address without a closing bracket"))?;
        if host.is_empty() {
            return Err(invalid("has an empty IPv6 address"));
        }
        if !rest.is_empty() && !rest.starts_with([':', '/', '?', ',']) {
            return Err(invalid(
                "has something else than a port or a / after an IPv6 address",
            ));
        }
        return Ok((host, rest));
    }
    Ok(rest.split_at(rest.find([':', '/', '?', ',']).unwrap_or(rest.len())))
}

impl Parts {
    fn push(&mut self, keyword: &str, value: &str) -> Result<()> {
        if !value.is_empty() {
            self.values.push((keyword.to_owned(), decode(value)?));
        }
        Ok(())
    }

    fn push_query(&mut self, query: &str) -> Result<()> {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or_else(|| invalid("has a parameter that is not of the form name=value"))?;
            let name = String::from_utf8(decode(name)?)
                .map_err(|_| invalid("has a parameter whose name is not UTF-8"))?;
            self.values.push((name, decode(value)?));
        }
        Ok(())
    }
}

fn decode(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = (bytes.next().and_then(hex), bytes.next().and_then(hex));
        let (Some(high), Some(low)) = digits else {
            return Err(invalid(
                "has a % that two hexadecimal digits do not follow; write % itself as %25",
            ));
        };
        out.push(high << 4 | low);
    }
    if out.contains(&0) {
        return Err(invalid("holds a zero byte"));
    }
    Ok(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
