//! Mocks of the traits, for tests that expect certain calls.
//!
//! Exempt from semantic versioning: mockall's own types are visible in them, and a new
//! method of a trait is a new method of its mock. A test that needs behavior rather than
//! calls is better served by the providers of feature `memory`.

pub use crate::cdn::MockCdn;
pub use crate::database::MockDatabase;
pub use crate::dns::MockDns;
pub use crate::hosting::MockHosting;
pub use crate::monitor::MockMonitor;
pub use crate::notifier::MockNotifier;
pub use crate::object_store::MockObjectStore;
pub use crate::pipeline::MockPipeline;
pub use crate::secret_store::MockSecretStore;
