//! What a store can send.

/// A request that a store can send, as Amazon's service model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Operation {
    /// The name, such as `PutObject`.
    pub name: &'static str,
    /// The method.
    pub method: &'static str,
    /// The template of path and query.
    pub path: &'static str,
    /// The traits and abilities that it serves, such as `ObjectStore/Versions`. What serves
    /// `ObjectStore` is sent for every store, if only to probe what it can do.
    pub serves: &'static [&'static str],
}

const OBJECT: &str = "/{Bucket}/{Key+}";
const BASE: &[&str] = &["ObjectStore"];

const fn of(
    name: &'static str,
    method: &'static str,
    path: &'static str,
    serves: &'static [&'static str],
) -> S3Operation {
    S3Operation {
        name,
        method,
        path,
        serves,
    }
}

/// Every request that a store can send, by name.
pub const OPERATIONS: &[S3Operation] = &[
    of("AbortMultipartUpload", "DELETE", OBJECT, BASE),
    of("CompleteMultipartUpload", "POST", OBJECT, BASE),
    of(
        "CopyObject",
        "PUT",
        OBJECT,
        &["ObjectStore", "ObjectStore/Versions"],
    ),
    of(
        "CreateBucket",
        "PUT",
        "/{Bucket}",
        &["ObjectStore/BucketAdmin"],
    ),
    of(
        "CreateMultipartUpload",
        "POST",
        "/{Bucket}/{Key+}?uploads",
        BASE,
    ),
    of(
        "DeleteBucket",
        "DELETE",
        "/{Bucket}",
        &["ObjectStore/BucketAdmin"],
    ),
    of(
        "DeleteBucketLifecycle",
        "DELETE",
        "/{Bucket}?lifecycle",
        &["ObjectStore/Lifecycle"],
    ),
    of(
        "DeleteObject",
        "DELETE",
        OBJECT,
        &["ObjectStore", "ObjectStore/Versions"],
    ),
    of("DeleteObjects", "POST", "/{Bucket}?delete", BASE),
    of(
        "GetBucketLifecycleConfiguration",
        "GET",
        "/{Bucket}?lifecycle",
        &["ObjectStore", "ObjectStore/Lifecycle"],
    ),
    of(
        "GetBucketVersioning",
        "GET",
        "/{Bucket}?versioning",
        &["ObjectStore", "ObjectStore/Versions"],
    ),
    of(
        "GetObject",
        "GET",
        OBJECT,
        &["ObjectStore", "ObjectStore/Presign"],
    ),
    of(
        "GetObjectLockConfiguration",
        "GET",
        "/{Bucket}?object-lock",
        BASE,
    ),
    of(
        "GetObjectRetention",
        "GET",
        "/{Bucket}/{Key+}?retention",
        &["ObjectStore/ObjectLock"],
    ),
    of(
        "HeadObject",
        "HEAD",
        OBJECT,
        &["ObjectStore", "ObjectStore/Versions"],
    ),
    of("ListMultipartUploads", "GET", "/{Bucket}?uploads", BASE),
    of(
        "ListObjectVersions",
        "GET",
        "/{Bucket}?versions",
        &["ObjectStore", "ObjectStore/Versions"],
    ),
    of("ListObjectsV2", "GET", "/{Bucket}?list-type=2", BASE),
    of(
        "PutBucketLifecycleConfiguration",
        "PUT",
        "/{Bucket}?lifecycle",
        &["ObjectStore/Lifecycle"],
    ),
    of(
        "PutBucketVersioning",
        "PUT",
        "/{Bucket}?versioning",
        &["ObjectStore/Versions"],
    ),
    of(
        "PutObject",
        "PUT",
        OBJECT,
        &["ObjectStore", "ObjectStore/Presign"],
    ),
    of(
        "PutObjectRetention",
        "PUT",
        "/{Bucket}/{Key+}?retention",
        &["ObjectStore/ObjectLock"],
    ),
    of("UploadPart", "PUT", OBJECT, BASE),
    of("UploadPartCopy", "PUT", OBJECT, BASE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_listed_once_and_in_order() {
        assert!(OPERATIONS.is_sorted_by(|a, b| a.name < b.name));
    }
}
