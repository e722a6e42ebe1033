//! What a request asks for, read from its head alone.

use http::{HeaderMap, Method, Uri};

/// Decodes percent-encoding and `+`.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = bytes
            .get(at + 1..at + 3)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (byte, pair) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes as lists with `encoding-type=url` do.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/*".contains(byte);
    text.bytes()
        .map(|byte| {
            if plain(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The parameters of a query, decoded.
pub(super) fn query(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// Bucket and key of a path, decoded.
pub(super) fn bucket_and_key(uri: &Uri) -> (Option<String>, Option<String>) {
    let path = uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    // A plus sign in a path is a plus sign.
    let decode = |part: &str| (!part.is_empty()).then(|| decoded(&part.replace('+', "%2B")));
    (decode(bucket), decode(key))
}

/// Sub-resources of a bucket or an object, and what their operations are called.
const RESOURCES: [(&str, &str); 14] = [
    ("versioning", "BucketVersioning"),
    ("lifecycle", "BucketLifecycleConfiguration"),
    ("cors", "BucketCors"),
    ("object-lock", "ObjectLockConfiguration"),
    ("policy", "BucketPolicy"),
    ("encryption", "BucketEncryption"),
    ("publicAccessBlock", "PublicAccessBlock"),
    ("ownershipControls", "BucketOwnershipControls"),
    ("acl", "Acl"),
    ("retention", "ObjectRetention"),
    ("legal-hold", "ObjectLegalHold"),
    ("attributes", "ObjectAttributes"),
    ("location", "BucketLocation"),
    ("tagging", "Tagging"),
];

/// The operation that a request asks for, by the name that Amazon gives it.
pub(super) fn operation(method: &Method, uri: &Uri, headers: &HeaderMap) -> String {
    let query = query(uri);
    let has = |name: &str| query.iter().any(|(known, _)| known == name);
    let (bucket, key) = bucket_and_key(uri);
    let resource = RESOURCES.into_iter().find(|(name, _)| has(name));
    if let (Some((_, name)), Some(_)) = (resource, &bucket) {
        let verb = match *method {
            Method::PUT => "Put",
            Method::DELETE => "Delete",
            _ => "Get",
        };
        // The one name that is not made like the others.
        if (verb, name) == ("Delete", "BucketLifecycleConfiguration") {
            return "DeleteBucketLifecycle".to_owned();
        }
        let of = match (name, key.is_some()) {
            ("Tagging" | "Acl", true) => "Object",
            ("Tagging" | "Acl", false) => "Bucket",
            _ => "",
        };
        return format!("{verb}{of}{name}");
    }
    let copies = headers.contains_key("x-amz-copy-source");
    let name = match (method.as_str(), bucket.is_some(), key.is_some()) {
        (_, false, _) => "ListBuckets",
        ("GET", true, false) if has("uploads") => "ListMultipartUploads",
        ("GET", true, false) if has("versions") => "ListObjectVersions",
        ("GET", true, false) if has("list-type") => "ListObjectsV2",
        ("GET", true, false) => "ListObjects",
        ("HEAD", true, false) => "HeadBucket",
        ("PUT", true, false) => "CreateBucket",
        ("DELETE", true, false) => "DeleteBucket",
        ("POST", true, false) if has("delete") => "DeleteObjects",
        ("GET", true, true) if has("uploadId") => "ListParts",
        ("GET", true, true) => "GetObject",
        ("HEAD", true, true) => "HeadObject",
        ("PUT", true, true) if has("uploadId") && copies => "UploadPartCopy",
        ("PUT", true, true) if has("uploadId") => "UploadPart",
        ("PUT", true, true) if copies => "CopyObject",
        ("PUT", true, true) => "PutObject",
        ("POST", true, true) if has("uploads") => "CreateMultipartUpload",
        ("POST", true, true) if has("uploadId") => "CompleteMultipartUpload",
        ("DELETE", true, true) if has("uploadId") => "AbortMultipartUpload",
        ("DELETE", true, true) => "DeleteObject",
        ("OPTIONS", ..) => "Preflight",
        _ => "Unknown",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_told_by_method_path_and_query() {
        let name = |method: &str, uri: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            operation(&method, &uri.parse().unwrap(), &HeaderMap::new())
        };
        for (method, uri, expected) in [
            ("GET", "/", "ListBuckets"),
            ("GET", "/b?list-type=2&prefix=a", "ListObjectsV2"),
            ("GET", "/b/", "ListObjects"),
            ("PUT", "/b/k", "PutObject"),
            ("PUT", "/b/k?partNumber=1&uploadId=x", "UploadPart"),
            ("POST", "/b/k?uploads", "CreateMultipartUpload"),
            ("PUT", "/b/k?tagging", "PutObjectTagging"),
            ("GET", "/b?tagging=", "GetBucketTagging"),
            ("DELETE", "/b?lifecycle", "DeleteBucketLifecycle"),
        ] {
            assert_eq!(name(method, uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn keys_are_decoded_once_and_a_plus_sign_stays() {
        let uri = "/b/a%2Fb+c%2525/%C3%A9".parse().unwrap();
        let (bucket, key) = bucket_and_key(&uri);
        assert_eq!(bucket.as_deref(), Some("b"));
        assert_eq!(key.as_deref(), Some("a/b+c%25/é"));
    }
}
