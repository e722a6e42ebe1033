//! What a call is about, for errors and spans.

use ops_core::{Error, ObjectKey, ProviderId};
use tracing::Span;

/// An operation on the store, and the object that it is about.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    provider: ProviderId,
    name: &'static str,
    resource: Option<String>,
    writes: bool,
}

impl Operation {
    /// An operation that changes nothing.
    pub(crate) fn read(provider: ProviderId, name: &'static str) -> Self {
        Self {
            provider,
            name,
            resource: None,
            writes: false,
        }
    }

    /// An operation whose outcome matters after its answer was lost.
    pub(crate) fn write(provider: ProviderId, name: &'static str) -> Self {
        Self {
            writes: true,
            ..Self::read(provider, name)
        }
    }

    /// Names the object, by the caller's key.
    pub(crate) fn on(mut self, key: &ObjectKey) -> Self {
        self.resource = Some(key.as_str().to_owned());
        self
    }

    /// The same operation in a step that changes nothing.
    pub(crate) fn reading(&self) -> Self {
        Self {
            writes: false,
            ..self.clone()
        }
    }

    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// Says where an error happened.
    pub(crate) fn decorate(&self, err: Error) -> Error {
        let err = err
            .with_provider(self.provider.clone())
            .with_operation(self.name);
        match &self.resource {
            Some(resource) => err.with_resource(resource.clone()),
            None => err,
        }
    }

    pub(crate) fn span(&self) -> Span {
        tracing::debug_span!(
            "ops.object_store",
            ops.provider = self.provider.as_str(),
            ops.operation = self.name,
            ops.resource.id = self.resource.as_deref(),
        )
    }
}
