//! What a fault makes of what is written.

use std::time::Duration;

use bytes::Bytes;
use ops_core::object_store::{ObjectKey, PutCondition, PutOptions};
use ops_core::{Error, ErrorKind, ObjectStore, Result};

use super::Sabotaged;

impl Sabotaged {
    /// The key under which an object is really kept.
    pub(super) fn stored(&self, key: &ObjectKey) -> Result<ObjectKey> {
        let text = key.as_str();
        if self.is("O-011") && text.len() > 512 {
            return ObjectKey::new(text.chars().take(400).collect::<String>());
        }
        Ok(key.clone())
    }

    /// What a fault makes of the content of a write.
    pub(super) async fn mangled(&self, key: &ObjectKey, data: Bytes) -> Bytes {
        if self.is("O-002") {
            let end = data.iter().position(|byte| *byte == 0);
            return data.slice(..end.unwrap_or(data.len()));
        }
        if self.is("O-006")
            && let Ok((_, old)) = self.peek(key).await
        {
            let tail = old.get(data.len()..).unwrap_or_default();
            return [&data[..], tail].concat().into();
        }
        data
    }

    /// What a fault makes of a conditional write that has failed.
    pub(super) async fn lost(&self, key: &ObjectKey, err: Error) -> Error {
        let is_there = self.memory().head(key).await.is_ok();
        match err.kind() {
            ErrorKind::AlreadyExists if self.is("O-030") => {
                Error::new(ErrorKind::Conflict, "sabotaged")
            }
            ErrorKind::Conflict if self.is("O-033") && is_there => {
                Error::new(ErrorKind::AlreadyExists, "sabotaged")
            }
            _ => err,
        }
    }

    /// Looks first and writes then, which is a race.
    pub(super) async fn decide(&self, key: &ObjectKey, options: &mut PutOptions) -> Result<()> {
        let there = self.memory().head(key).await.ok();
        match &options.condition {
            PutCondition::IfNoneMatch if self.is("O-035") => {
                if there.is_some() {
                    return Err(Error::new(ErrorKind::AlreadyExists, "there is one"));
                }
            }
            PutCondition::IfMatch(etag) if self.is("O-036") => {
                if there.and_then(|meta| meta.etag).as_ref() != Some(etag) {
                    return Err(Error::new(ErrorKind::Conflict, "another version"));
                }
            }
            PutCondition::IfMatch(_) if self.is("O-034") && there.is_none() => {}
            _ => return Ok(()),
        }
        options.condition = PutCondition::Always;
        // Long enough for every other writer to look as well.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}
