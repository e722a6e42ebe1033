//! `put_stream`, with its faults.

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use ops_core::memory::MemoryObjectStore;
use ops_core::object_store::{ObjectKey, ObjectMeta, PutCondition, PutOptions};
use ops_core::{ByteStream, Error, ErrorKind, ObjectStore, Result};

use super::sabotage::{Sabotaged, once};
use crate::saboteur::wrong;

/// A fifth of what this store's fixture says of its parts.
const PART: usize = super::PART / 5;

/// What is done to what an upload has left, when it is dropped before its end.
struct Left {
    sabotaged: Sabotaged,
    key: ObjectKey,
    is_armed: bool,
}

fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap()
}

fn write(memory: &MemoryObjectStore, key: &ObjectKey) {
    let options = PutOptions::default();
    now(memory.put(key, Bytes::from("half"), options)).unwrap();
}

impl Drop for Left {
    fn drop(&mut self) {
        if !self.is_armed {
            return;
        }
        let memory = self.sabotaged.memory();
        if self.sabotaged.is("O-098") {
            now(memory.delete(&self.key)).unwrap();
        }
        if self.sabotaged.is("O-099") {
            write(memory, &self.key);
        }
        if self.sabotaged.is("O-100") {
            self.sabotaged.notes().leaked += 1;
        }
    }
}

impl Sabotaged {
    pub(super) async fn upload(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        mut options: PutOptions,
    ) -> Result<ObjectMeta> {
        match &options.condition {
            PutCondition::IfNoneMatch if self.is("O-037") => {
                options.condition = PutCondition::Always;
            }
            PutCondition::IfMatch(_) if self.is("O-038") => {
                options.condition = PutCondition::Always;
            }
            _ => {}
        }
        if self.is("O-053") {
            options.checksum = None;
        }
        let is_there = self.memory().head(key).await.is_ok();
        if self.is("O-098") && !is_there && options.condition == PutCondition::Always {
            write(self.memory(), key);
        }
        let mut left = Left {
            sabotaged: self.clone(),
            key: key.clone(),
            is_armed: !is_there,
        };
        let whole = self.collect(data).await;
        left.is_armed = false;
        let whole = match whole {
            Ok(whole) => whole,
            Err(err) => return self.broken(key, err, is_there).await,
        };
        let options = self.memory().put_stream(key, once(whole), options);
        let mut written = options.await?;
        if self.is("O-094") {
            written.size_bytes = 0;
        }
        Ok(written)
    }

    /// What a fault makes of the whole.
    async fn collect(&self, data: ByteStream) -> Result<Bytes> {
        let data: ByteStream =
            if self.is("O-091") {
                Box::pin(data.take_while(|chunk| {
                    std::future::ready(!chunk.as_ref().is_ok_and(Bytes::is_empty))
                }))
            } else {
                data
            };
        let whole = data.try_fold(BytesMut::new(), async |mut whole, chunk| {
            whole.extend_from_slice(&chunk);
            Ok(whole)
        });
        let whole = whole.await?.freeze();
        let length = whole.len();
        if self.is("O-090") && length == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "an upload without parts",
            ));
        }
        let is_cut = (self.is("O-092") && length > 10 * PART)
            || (self.is("O-093") && length > 0 && length.is_multiple_of(5 * PART));
        Ok(whole.slice(..length - usize::from(is_cut)))
    }

    /// What a fault makes of a stream that has failed.
    async fn broken(&self, key: &ObjectKey, err: Error, is_there: bool) -> Result<ObjectMeta> {
        if self.is("O-095") {
            return wrong();
        }
        if self.is("O-096") && !is_there {
            write(self.memory(), key);
        }
        if self.is("O-098") && !is_there {
            self.memory().delete(key).await?;
        }
        if self.is("O-097") && is_there {
            self.memory().delete(key).await?;
        }
        if self.is("O-101") {
            self.notes().leaked += 1;
        }
        Err(err)
    }
}
