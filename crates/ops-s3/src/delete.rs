//! Deleting objects.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::operation::delete_objects::DeleteObjectsOutput;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::{StreamExt, stream};
use ops_core::object_store::DeleteOutcome;
use ops_core::{Error, ErrorKind, ObjectKey, Result};

use crate::error::{self, decode};
use crate::operation::Operation;
use crate::store::Shared;

/// Deletes an object. S3 does not say whether it was there.
pub(crate) async fn one(
    shared: &Arc<Shared>,
    operation: &Operation,
    key: &ObjectKey,
) -> Result<DeleteOutcome> {
    let request = shared
        .client
        .delete_object()
        .bucket(&shared.bucket)
        .key(shared.full_key(key));
    let delete = shared.call(operation, request.send());
    match delete.await {
        Ok(_) => Ok(DeleteOutcome::Gone),
        Err(err) if err.code() == Some("NoSuchKey") => Ok(DeleteOutcome::AlreadyGone),
        Err(err) => Err(err),
    }
}

/// Deletes many objects, and answers in the order of the keys.
pub(crate) async fn many(
    shared: &Arc<Shared>,
    operation: &Operation,
    keys: Vec<ObjectKey>,
) -> Vec<Result<DeleteOutcome>> {
    let most = usize::try_from(shared.profile.max_delete_keys.max(1)).unwrap_or(1);
    let mut batches: Vec<Vec<(usize, ObjectKey)>> = Vec::new();
    let mut singles: Vec<(usize, ObjectKey)> = Vec::new();
    let count = keys.len();
    for (index, key) in keys.into_iter().enumerate() {
        if !shared.profile.delete_many || !fits_xml(shared, &key) {
            singles.push((index, key));
            continue;
        }
        match batches.last_mut() {
            Some(batch) if batch.len() < most => batch.push((index, key)),
            _ => batches.push(vec![(index, key)]),
        }
    }
    let by_batch = stream::iter(batches)
        .map(|keys| batch(shared, operation, keys))
        .buffer_unordered(shared.concurrency)
        .flat_map(stream::iter);
    let one_by_one = stream::iter(singles)
        .map(|(index, key)| async move {
            let operation = operation.clone().on(&key);
            let outcome = one(shared, &operation, &key).await;
            (index, outcome.map_err(|err| operation.decorate(err)))
        })
        .buffer_unordered(shared.concurrency.saturating_mul(4));
    let outcomes: HashMap<usize, _> = by_batch.chain(one_by_one).collect().await;
    in_order(outcomes, count)
}

fn in_order(
    mut outcomes: HashMap<usize, Result<DeleteOutcome>>,
    count: usize,
) -> Vec<Result<DeleteOutcome>> {
    let unanswered = || {
        Err(Error::new(
            ErrorKind::Internal,
            "a key to delete was forgotten",
        ))
    };
    (0..count)
        .map(|index| outcomes.remove(&index).unwrap_or_else(unanswered))
        .collect()
}

/// XML, in which `DeleteObjects` names keys, has no way to write most control characters.
fn fits_xml(shared: &Shared, key: &ObjectKey) -> bool {
    let has_none = |text: &str| {
        !text
            .chars()
            .any(|char| char < ' ' || matches!(char, '\u{fffe}' | '\u{ffff}'))
    };
    has_none(&shared.prefix) && has_none(key.as_str())
}

/// Deletes by one request. Where it fails as a whole, each key has the error.
async fn batch(
    shared: &Arc<Shared>,
    operation: &Operation,
    keys: Vec<(usize, ObjectKey)>,
) -> Vec<(usize, Result<DeleteOutcome>)> {
    let sent = send(shared, operation, &keys).await;
    let answer = match sent {
        Ok(answer) => answer,
        Err(err) => {
            return keys
                .into_iter()
                .map(|(index, key)| (index, Err(again(&err, operation, &key))))
                .collect();
        }
    };
    let answers = Answers::new(&answer);
    keys.into_iter()
        .map(|(index, key)| {
            let outcome = answers.of(&shared.full_key(&key));
            let decorate = |err| operation.clone().on(&key).decorate(err);
            (index, outcome.map_err(decorate))
        })
        .collect()
}

async fn send(
    shared: &Arc<Shared>,
    operation: &Operation,
    keys: &[(usize, ObjectKey)],
) -> Result<DeleteObjectsOutput> {
    let named = keys.iter().map(|(_, key)| {
        ObjectIdentifier::builder()
            .key(shared.full_key(key))
            .build()
    });
    let delete = named
        .collect::<Result<Vec<_>, _>>()
        .and_then(|keys| Delete::builder().set_objects(Some(keys)).build());
    let delete = delete.map_err(|source| {
        Error::new(ErrorKind::Internal, "the keys to delete cannot be named").with_source(source)
    })?;
    let request = shared
        .client
        .delete_objects()
        .bucket(&shared.bucket)
        .delete(delete);
    let send = shared.checked(operation, request.send());
    send.await.map(|(answer, _)| answer)
}

/// The same error, for one of the keys that it is about.
fn again(err: &Error, operation: &Operation, key: &ObjectKey) -> Error {
    let mut again = Error::new(err.kind(), err.message().to_owned())
        .with_attempts(err.attempts())
        .with_retry(err.retry());
    if let Some(status) = err.status() {
        again = again.with_status(status);
    }
    if let Some(code) = err.code() {
        again = again.with_code(code);
    }
    if let Some(id) = err.request_id() {
        again = again.with_request_id(id);
    }
    operation.clone().on(key).decorate(again)
}

/// What the store said about each key.
struct Answers<'a>(HashMap<&'a str, Option<Refusal<'a>>>);

#[derive(Clone, Copy)]
struct Refusal<'a> {
    code: &'a str,
    message: Option<&'a str>,
}

impl<'a> Answers<'a> {
    fn new(answer: &'a DeleteObjectsOutput) -> Self {
        let deleted = answer
            .deleted()
            .iter()
            .filter_map(|deleted| Some((deleted.key()?, None)));
        let refused = answer.errors().iter().filter_map(|err| {
            let refusal = Refusal {
                code: err.code().unwrap_or("unknown"),
                message: err.message(),
            };
            Some((err.key()?, Some(refusal)))
        });
        Self(deleted.chain(refused).collect())
    }

    fn of(&self, key: &str) -> Result<DeleteOutcome> {
        match self.0.get(key) {
            Some(None) => Ok(DeleteOutcome::Gone),
            Some(Some(refusal)) if refusal.code == "NoSuchKey" => Ok(DeleteOutcome::AlreadyGone),
            Some(Some(refusal)) => Err(error::refused(refusal.code, refusal.message)),
            None => Err(decode(
                "the answer has the key neither in a `Deleted` nor in an `Error`",
            )),
        }
    }
}
