//! Texts as character strings (RFC 1035, section 5.1): `"v=spf1 -all" "more"`.

/// The longest character string, in bytes.
const LONGEST: usize = 255;

/// A text as character strings in quotes, cut where it is too long for one.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut bytes = 0;
    for char in text.chars() {
        if bytes + char.len_utf8() > LONGEST {
            quoted.push_str("\" \"");
            bytes = 0;
        }
        bytes += char.len_utf8();
        if matches!(char, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    quoted.push('"');
    quoted
}

/// The text that character strings say together. What is not in quotes, as in records that
/// were made long ago, is taken as it is.
pub(super) fn unquoted(content: &str) -> String {
    let trimmed = content.trim();
    if !trimmed.starts_with('"') {
        return content.to_owned();
    }
    let mut text = Vec::with_capacity(trimmed.len());
    let mut bytes = trimmed.bytes().peekable();
    let mut inside = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => inside = !inside,
            b'\\' if inside => {
                let digit = |byte: Option<&u8>| byte.filter(|it| it.is_ascii_digit()).copied();
                let mut code: u32 = 0;
                let mut digits = 0;
                while digits < 3
                    && let Some(digit) = digit(bytes.peek())
                {
                    code = code * 10 + u32::from(digit - b'0');
                    digits += 1;
                    bytes.next();
                }
                match u8::try_from(code) {
                    Ok(code) if digits == 3 => text.push(code),
                    _ => text.extend(bytes.next()),
                }
            }
            byte if inside => text.push(byte),
            // Between two strings.
            _ => {}
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(quoted("v=spf1 -all"), r#""v=spf1 -all""#);
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted(""), r#""""#);
        let long = "ü".repeat(128);
        let (first, second) = ("ü".repeat(127), "ü");
        assert_eq!(quoted(&long), format!(r#""{first}" "{second}""#));
    }

    #[test]
    fn what_is_quoted_is_read_again() {
        let long = "k=v; \"x\\y\" ü".repeat(60);
        for text in ["", "a  b", r#"say "a\b""#, "\\123", &long] {
            assert_eq!(unquoted(&quoted(text)), text);
        }
    }

    #[test]
    fn other_spellings_are_read() {
        assert_eq!(unquoted(r#" "a" "b"  "c" "#), "abc");
        assert_eq!(unquoted(r#""\195\188\059""#), "ü;");
        assert_eq!(unquoted("v=spf1 -all"), "v=spf1 -all");
        assert_eq!(unquoted(r#""ends with \"#), "ends with ");
    }
}
