//! The forms that a secret takes on its way.

use std::fmt::Write;

/// The forms that a secret takes on its way.
pub(super) struct Forms(Vec<String>);

impl Forms {
    pub(super) fn of(canary: &str) -> Self {
        let mut forms = vec![canary.to_owned(), percent(canary), hex(canary)];
        forms.extend((0..3).map(|offset| base64_core(canary.as_bytes(), offset)));
        forms.sort();
        forms.dedup();
        Self(forms)
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|form| text.contains(form.as_str()))
    }
}

fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn hex(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The characters of base64 that depend on the secret alone, where `offset` bytes stand
/// before it, as `user:` does in basic authentication.
fn base64_core(secret: &[u8], offset: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let skip = (3 - offset) % 3;
    let whole = secret.get(skip..).unwrap_or_default();
    let mut out = String::new();
    for three in whole.chunks_exact(3) {
        let bits = three
            .iter()
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            let letter = ALPHABET.get(bits >> shift & 63).copied();
            out.extend(letter.map(char::from));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_recognized_in_every_form() {
        let forms = Forms::of("canary/5f3a 9c0e");
        for text in [
            "token=canary/5f3a 9c0e;",
            "?token=canary%2F5f3a%209c0e",
            "63616e6172792f35663361203963306500",
            // The secret alone, after `u:` and after `us:`.
            "Basic Y2FuYXJ5LzVmM2EgOWMwZQ==",
            "Basic dTpjYW5hcnkvNWYzYSA5YzBl",
            "Basic dXM6Y2FuYXJ5LzVmM2EgOWMwZQ==",
        ] {
            assert!(forms.is_in(text), "{text}");
        }
        assert!(!forms.is_in("canary 5f3a"));
    }
}
