//! Keys as paths below the root.

use ops_core::{Error, ErrorKind, ObjectKey, Result};

/// The folder of the root that is the store's own.
pub(crate) const PRIVATE: &str = ".ops";

/// What `mkfs` puts into the root of some file systems.
pub(crate) const LOST_AND_FOUND: &str = "lost+found";

/// How many locks the keys share.
pub(crate) const LOCK_SHARDS: u8 = 64;

/// A key that was checked to name a file below the root.
#[derive(Clone, Debug)]
pub(crate) struct KeyPath {
    key: ObjectKey,
    leaf_at: usize,
    hash: blake3::Hash,
}

impl KeyPath {
    /// Checks a key.
    pub(crate) fn new(key: &ObjectKey) -> Result<Self> {
        if let Some(problem) = problem_of(key.as_str()) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("the key {problem}"),
            ));
        }
        let text = key.as_str();
        let leaf_at = text.rfind('/').map_or(0, |slash| slash + 1);
        Ok(Self {
            key: key.clone(),
            leaf_at,
            hash: blake3::hash(text.as_bytes()),
        })
    }

    pub(crate) fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// The path of the object below the root.
    pub(crate) fn path(&self) -> &str {
        self.key.as_str()
    }

    /// The folder of the object, empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path()
            .get(..self.leaf_at.saturating_sub(1))
            .unwrap_or_default()
    }

    /// The name of the object in its folder.
    pub(crate) fn leaf(&self) -> &str {
        self.path().get(self.leaf_at..).unwrap_or_default()
    }

    /// The folder of the object's metadata, below the root.
    ///
    /// Metadata is named by the hash of the key, since a mirrored path could grow past what
    /// a file name may hold, and could not hold `a` and `a/b` one after the other.
    pub(crate) fn meta_folder(&self) -> String {
        format!("{PRIVATE}/meta/{:02x}", self.first_byte())
    }

    /// The name of the object's metadata in its folder.
    pub(crate) fn meta_leaf(&self) -> String {
        self.hash
            .to_hex()
            .as_str()
            .get(2..)
            .unwrap_or_default()
            .to_owned()
    }

    /// The path of the object's metadata, below the root.
    pub(crate) fn meta_path(&self) -> String {
        format!("{}/{}", self.meta_folder(), self.meta_leaf())
    }

    /// The lock that writers of this key take.
    pub(crate) fn lock_shard(&self) -> u8 {
        self.first_byte() % LOCK_SHARDS
    }

    fn first_byte(&self) -> u8 {
        let [first, ..] = *self.hash.as_bytes();
        first
    }
}

/// What is wrong with a path below the root, if anything.
pub(crate) fn problem_of(path: &str) -> Option<&'static str> {
    let mut segments = path.split('/');
    let first = segments.clone().next().unwrap_or_default();
    if first.eq_ignore_ascii_case(PRIVATE) {
        return Some("begins with .ops, which is the store's own folder");
    }
    if first == LOST_AND_FOUND {
        return Some("begins with lost+found, which is the file system's own folder");
    }
    segments.find_map(|segment| match segment {
        "" => Some("has an empty segment: a leading, trailing or doubled slash"),
        "." | ".." => Some("has a segment that is . or .."),
        _ if segment.len() > 255 => Some("has a segment of more than 255 bytes"),
        _ if segment.contains('\0') => Some("contains NUL"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str) -> Result<KeyPath> {
        KeyPath::new(&ObjectKey::new(key).unwrap())
    }

    #[test]
    fn keys_that_would_leave_the_root_or_name_its_private_folder_are_refused() {
        let long = "x".repeat(256);
        let keys = [
            "..",
            ".",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            "a/./b",
            "../a",
            ".ops",
            ".ops/meta/x",
            ".OPS/x",
            "lost+found/x",
            &long,
        ];
        for key in keys {
            assert_eq!(
                check(key).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{key}"
            );
        }
    }

    #[test]
    fn keys_that_only_look_special_are_accepted() {
        let long = "x".repeat(255);
        for key in [
            "...", "a/.ops", ".opsx", "a/..b", "a b", "a\\b", "é/ü", "-", &long,
        ] {
            assert_eq!(check(key).unwrap().path(), key);
        }
    }

    #[test]
    fn a_key_is_split_into_folder_and_leaf() {
        let key = check("a/b/c").unwrap();
        assert_eq!((key.folder(), key.leaf()), ("a/b", "c"));
        let key = check("c").unwrap();
        assert_eq!((key.folder(), key.leaf()), ("", "c"));
    }
}
