//! Forms of parts (`multipart/form-data`, RFC 7578), which never lie in memory whole.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::HeaderValue;
use ops_core::object_store::ByteStream;
use ops_core::{Error, ErrorKind, Result};
use rustls::crypto::ring;

use crate::outgoing::exactly;

/// A form of parts, sent in the order in which they were added.
///
/// What is in memory is sent without a copy, and a stream as it is read. A form that holds a
/// stream is sent once, as [`body_stream`](crate::ApiRequest::body_stream) is.
///
/// ```
/// use ops_http::{ApiRequest, Multipart, Operation, Part};
///
/// static UPLOAD: Operation = Operation::post("uploadFile", "/files");
///
/// let form = Multipart::new()
///     .text("purpose", "source map")
///     .part("file", Part::bytes("{}").file_name("app.js.map").content_type("application/json"));
/// let call = ApiRequest::new(&UPLOAD).body_multipart(form);
/// assert_eq!(call.body(), None, "it is put together while it is sent");
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Multipart {
    parts: Vec<(String, Part)>,
}

/// One part of a [`Multipart`] form.
#[must_use]
pub struct Part {
    file_name: Option<String>,
    content_type: Option<Cow<'static, str>>,
    content: Content,
}

enum Content {
    Bytes(Bytes),
    /// Read once: `None` after that.
    Stream {
        length: Option<u64>,
        stream: Option<ByteStream>,
    },
}

impl Multipart {
    /// A form without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field with a text.
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part(name, Part::bytes(value.into()))
    }

    /// Adds a part.
    pub fn part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// The same form once more; `None` where it holds a stream.
    pub(crate) fn again(&self) -> Option<Self> {
        let parts = self.parts.iter().map(|(name, part)| {
            let Content::Bytes(bytes) = &part.content else {
                return None;
            };
            let part = Part {
                file_name: part.file_name.clone(),
                content_type: part.content_type.clone(),
                content: Content::Bytes(bytes.clone()),
            };
            Some((name.clone(), part))
        });
        let parts = parts.collect::<Option<_>>()?;
        Some(Self { parts })
    }

    /// Draws a boundary and writes what stands between the parts.
    pub(crate) fn encode(self) -> Result<EncodedForm> {
        let boundary = boundary()?;
        let mut pieces = Vec::with_capacity(self.parts.len() * 2 + 1);
        let mut end_of_line = "";
        for (name, part) in self.parts {
            let head = part.head(&name)?;
            let head = format!("{end_of_line}--{boundary}\r\n{head}\r\n\r\n");
            pieces.push(Content::Bytes(head.into()));
            pieces.push(part.content);
            end_of_line = "\r\n";
        }
        pieces.push(Content::Bytes(
            format!("{end_of_line}--{boundary}--\r\n").into(),
        ));
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let content_type = HeaderValue::from_str(&content_type).map_err(|source| {
            Error::new(ErrorKind::Internal, "the boundary is no header").with_source(source)
        })?;
        Ok(EncodedForm {
            content_type,
            pieces,
        })
    }
}

impl Part {
    fn new(content: Content) -> Self {
        Self {
            file_name: None,
            content_type: None,
            content,
        }
    }

    /// A part that is in memory.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Bytes(bytes.into()))
    }

    /// A part that is read while it is sent. Where its length is not known, neither is that
    /// of the form; a stream that is shorter or longer than announced fails the request.
    pub fn stream(length: impl Into<Option<u64>>, stream: ByteStream) -> Self {
        Self::new(Content::Stream {
            length: length.into(),
            stream: Some(stream),
        })
    }

    /// Names the file. Quotation marks, backslashes and control characters arrive
    /// percent-encoded, as browsers send them; everything else as UTF-8.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = Some(name.into());
        self
    }

    /// Says what it is. Defaults to `application/octet-stream` for a part with a file name,
    /// and to nothing, which means `text/plain`, for the others.
    pub fn content_type(mut self, content_type: impl Into<Cow<'static, str>>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// The headers, without the last end of line.
    fn head(&self, name: &str) -> Result<String> {
        let mut head = String::from("Content-Disposition: form-data; name=\"");
        escape(name, &mut head);
        head.push('"');
        if let Some(file_name) = &self.file_name {
            head.push_str("; filename=\"");
            escape(file_name, &mut head);
            head.push('"');
        }
        let octets = Cow::Borrowed("application/octet-stream");
        let default = self.file_name.as_ref().map(|_| &octets);
        if let Some(content_type) = self.content_type.as_ref().or(default) {
            // A line end would begin another header.
            if HeaderValue::from_str(content_type).is_err() {
                let message = format!("the content type of part {name:?} is not valid");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            head.extend(["\r\nContent-Type: ", content_type]);
        }
        Ok(head)
    }
}

/// A name between quotation marks.
///
/// The HTML standard encodes `"`, CR and LF alone. A backslash is an escape to many readers,
/// and no control character may stand in a header.
fn escape(name: &str, to: &mut String) {
    for c in name.chars() {
        match c {
            '"' | '\\' | '\0'..='\x1f' | '\x7f' => {
                // Writing to a text does not fail.
                let _ = write!(to, "%{:02X}", u32::from(c));
            }
            c => to.push(c),
        }
    }
}

/// 128 bits that nobody who chose a part could know.
fn boundary() -> Result<String> {
    let mut random = [0; 16];
    let filled = ring::default_provider().secure_random.fill(&mut random);
    filled.map_err(|_| Error::new(ErrorKind::Internal, "the system gives no random numbers"))?;
    Ok(format!("ops-{:032x}", u128::from_be_bytes(random)))
}

/// A form and what stands between its parts.
pub(crate) struct EncodedForm {
    pub(crate) content_type: HeaderValue,
    pieces: Vec<Content>,
}

impl EncodedForm {
    /// How long it is, where each part says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.pieces.iter().try_fold(0_u64, |sum, piece| {
            let length = match piece {
                Content::Bytes(bytes) => Some(bytes.len() as u64),
                Content::Stream { length, .. } => *length,
            };
            sum.checked_add(length?)
        })
    }

    /// Whether nothing of it has been read away.
    pub(crate) fn can_repeat(&self) -> bool {
        let read = |piece: &Content| matches!(piece, Content::Stream { stream: None, .. });
        !self.pieces.iter().any(read)
    }

    /// The whole form as a stream; `None` where a part has been read away.
    pub(crate) fn body(&mut self) -> Option<ByteStream> {
        let pieces: Option<Vec<ByteStream>> = self
            .pieces
            .iter_mut()
            .map(|piece| match piece {
                Content::Bytes(bytes) => {
                    let bytes = bytes.clone();
                    Some(stream::once(async { Ok(bytes) }).boxed())
                }
                Content::Stream { length, stream } => {
                    let stream = stream.take()?;
                    Some(match *length {
                        Some(length) => exactly(length, stream),
                        None => stream,
                    })
                }
            })
            .collect();
        Some(stream::iter(pieces?).flatten().boxed())
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and contents may be anybody's secrets.
        let is_stream = matches!(self.content, Content::Stream { .. });
        f.debug_struct("Part")
            .field("content_type", &self.content_type)
            .field("is_stream", &is_stream)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_escaped(name: &str, expected: &str) {
        let mut escaped = String::new();
        escape(name, &mut escaped);
        assert_eq!(escaped, expected);
    }

    #[test]
    fn a_name_cannot_leave_its_quotation_marks() {
        assert_escaped("a\"b.txt", "a%22b.txt");
        assert_escaped("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1");
        assert_escaped("ends in \\", "ends in %5C");
        assert_escaped("\0\u{7f}", "%00%7F");
        assert_escaped("Übersicht 100%.txt", "Übersicht 100%.txt");
    }

    #[test]
    fn a_content_type_cannot_bring_a_header() {
        let part = Part::bytes("x").content_type("text/plain\r\nX-Evil: 1");
        let err = Multipart::new().part("file", part).encode().err().unwrap();
        assert_eq!(err.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            err.message(),
            "the content type of part \"file\" is not valid"
        );
    }

    #[test]
    fn each_form_has_a_boundary_of_its_own() {
        let form = || Multipart::new().text("a", "b").encode().unwrap();
        assert_ne!(form().content_type, form().content_type);
    }

    #[test]
    fn debug_shows_no_content() {
        let part = Part::bytes("hunter2").file_name("hunter2.key");
        assert_eq!(
            format!("{part:?}"),
            "Part { content_type: None, is_stream: false, .. }"
        );
    }
}
