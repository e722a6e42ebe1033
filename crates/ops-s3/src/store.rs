//! An open store.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use bytes::Bytes;
use ops_core::object_store::{
    BucketAdmin, DeleteOutcome, GetOptions, GetResult, Lifecycle, ListOptions, ObjectLock,
    ObjectMeta, ObjectStore, ObjectStoreLimits, Presign, PutCondition, PutOptions, Versions,
};
use ops_core::{
    ByteStream, Clock, Error, ErrorKind, ItemStream, ObjectKey, ProviderId, Result, Timestamp,
    async_trait,
};
use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, Instrument};

use crate::budget::Budget;
use crate::client;
use crate::config::{PayloadSigning, S3StoreBuilder};
use crate::credentials::Adapter;
use crate::error::from_sdk;
use crate::get::wants_checksums;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::probe::{ProbeReport, probe};
use crate::profile::StoreProfile;
use crate::put::Buffers;
use crate::trace::{Payload, Trace};
use crate::wire::Wire;
use crate::{copy, delete, get, list, put, upload};

/// A bucket that is spoken to by S3's protocol, or what is below a prefix of one.
///
/// Clones are the same store: they share connections and the byte budget.
#[derive(Clone)]
pub struct S3Store(pub(crate) Arc<Shared>);

/// How many parts under way fit the memory that a store is bounded to.
const PARTS_OF_BOUND: u64 = 3;

/// What the SDK answers.
type Sent<T, E> = Result<T, SdkError<E, HttpResponse>>;

/// What all operations share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) region: String,
    pub(crate) provider: ProviderId,
    pub(crate) profile: StoreProfile,
    pub(crate) plan: Plan,
    /// The largest object, where the builder was told.
    bound: Option<u64>,
    pub(crate) budget: Budget,
    pub(crate) buffers: Buffers,
    pub(crate) concurrency: usize,
    pub(crate) sign_payload: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) report: Option<ProbeReport>,
    credentials: Adapter,
    limits: ObjectStoreLimits,
}

impl Shared {
    fn new(builder: &S3StoreBuilder, profile: StoreProfile) -> Result<Self> {
        let Some(provider) = &builder.credentials else {
            return Err(Error::invalid_config(["credentials are missing"]));
        };
        let credentials = Adapter::new(Arc::clone(provider));
        let sign_payload = match builder.payload_signing {
            PayloadSigning::WithoutTls => !builder.uses_tls(),
            PayloadSigning::Always => true,
            PayloadSigning::Never => false,
        };
        let (client, wire) = client::client(builder, credentials.clone())?;
        let mut shared = Self {
            client,
            wire,
            bucket: builder.bucket.clone(),
            prefix: builder.prefix.clone(),
            region: builder.region.clone(),
            provider: builder.provider.clone(),
            plan: Plan::new(&profile, builder.part_bytes, builder.byte_budget, None),
            bound: builder.max_object_bytes,
            profile: profile.clone(),
            budget: Budget::new(builder.byte_budget),
            buffers: Buffers::default(),
            concurrency: builder.concurrency,
            sign_payload,
            clock: Arc::clone(&builder.clock),
            report: None,
            credentials,
            limits: ObjectStoreLimits::default(),
        };
        shared.set_profile(builder, profile);
        Ok(shared)
    }

    fn set_profile(&mut self, builder: &S3StoreBuilder, profile: StoreProfile) {
        self.profile = profile;
        self.cut(builder.part_bytes, builder.byte_budget);
    }

    /// The same store with a budget of its own, and with parts of which several fit in.
    fn bounded(&self, memory_bytes: u64) -> Self {
        let mut bounded = self.clone();
        let bytes = memory_bytes.min(self.budget.bytes());
        let part = self.plan.part_bytes(0).unwrap_or(bytes);
        bounded.budget = Budget::new(bytes);
        bounded.buffers = Buffers::default();
        bounded.cut(part.min(bytes / PARTS_OF_BOUND), bytes);
        bounded
    }

    /// Sets how objects are cut into parts.
    fn cut(&mut self, part_bytes: u64, byte_budget: u64) {
        let profile = &self.profile;
        self.plan = Plan::new(profile, part_bytes, byte_budget, self.bound);
        self.limits = ObjectStoreLimits::default()
            .with_max_object_bytes(profile.max_object_bytes.min(self.plan.max_bytes()))
            .with_max_parts(profile.max_parts)
            .with_min_part_bytes(profile.min_part_bytes)
            .with_max_delete_keys(profile.max_delete_keys);
    }

    /// The key as it stands in the bucket.
    pub(crate) fn full_key(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key as the caller knows it, of one that the bucket listed.
    pub(crate) fn own_key(&self, full: &str) -> Result<ObjectKey> {
        let own = full
            .strip_prefix(&self.prefix)
            .ok_or_else(|| Error::new(ErrorKind::Decode, "a listed `Key` has another prefix"));
        own.and_then(|own| {
            ObjectKey::new(own).map_err(|source| {
                Error::new(ErrorKind::Decode, "a listed `Key` is none").with_source(source)
            })
        })
    }

    pub(crate) fn reading(&self, name: &'static str) -> Operation {
        Operation::read(self.provider.clone(), name)
    }

    pub(crate) fn writing(&self, name: &'static str) -> Operation {
        Operation::write(self.provider.clone(), name)
    }

    /// Sends one request, by the SDK's retries, and says what went wrong.
    pub(crate) fn call<T, E>(
        &self,
        operation: &Operation,
        send: impl Future<Output = Sent<T, E>> + Send,
    ) -> impl Future<Output = Result<(T, Trace)>> + Send
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        T: Send,
    {
        self.follow(operation, Trace::default(), Box::pin(send))
    }

    /// As [`call`](Self::call), for a request or an answer that is content.
    pub(crate) fn transfer<T, E>(
        &self,
        operation: &Operation,
        send: impl Future<Output = Sent<T, E>> + Send,
    ) -> impl Future<Output = Result<(T, Trace)>> + Send
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        T: Send,
    {
        let payload = if self.sign_payload {
            Payload::Signed
        } else {
            Payload::Unsigned
        };
        self.transfer_as(operation, payload, send)
    }

    /// As [`transfer`](Self::transfer), where it was decided how the content is signed.
    pub(crate) fn transfer_as<T, E>(
        &self,
        operation: &Operation,
        payload: Payload,
        send: impl Future<Output = Sent<T, E>> + Send,
    ) -> impl Future<Output = Result<(T, Trace)>> + Send
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        T: Send,
    {
        let trace = Trace::of_transfer(payload, wants_checksums(&self.profile));
        self.follow(operation, trace, Box::pin(send))
    }

    /// As [`call`](Self::call), for a request that S3 wants with a checksum. Stores that do
    /// not know the newer ones take an MD5.
    pub(crate) fn checked<T, E>(
        &self,
        operation: &Operation,
        send: impl Future<Output = Sent<T, E>> + Send,
    ) -> impl Future<Output = Result<(T, Trace)>> + Send
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        T: Send,
    {
        let trace = Trace::of_checked(!wants_checksums(&self.profile));
        self.follow(operation, trace, Box::pin(send))
    }

    /// The SDK's futures are large: boxed at once, they are moved once. Its events are kept
    /// from subscribers: at trace level they hold signatures and session tokens.
    async fn follow<T, E>(
        &self,
        operation: &Operation,
        trace: Trace,
        send: Pin<Box<impl Future<Output = Sent<T, E>> + Send>>,
    ) -> Result<(T, Trace)>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
        T: Send,
    {
        let send = trace.follow(send).with_subscriber(Dispatch::none());
        match send.await {
            Ok(answer) => Ok((answer, trace)),
            Err(err) => Err(from_sdk(&err, operation, &trace, &self.credentials)),
        }
    }

    /// When the store says that it answered, or else when we heard it.
    pub(crate) fn answered_at(&self, trace: &Trace) -> Timestamp {
        trace.date().unwrap_or_else(|| self.clock.now())
    }
}

impl S3Store {
    /// Configures a store in a bucket.
    pub fn builder(bucket: impl Into<String>) -> S3StoreBuilder {
        S3StoreBuilder::new(bucket.into())
    }

    pub(crate) async fn open(builder: S3StoreBuilder) -> Result<Self> {
        let operation = Operation::read(builder.provider.clone(), "object_store.open");
        let open = async {
            if let Some(profile) = builder.profile.clone() {
                return Shared::new(&builder, profile);
            }
            let shared = Arc::new(Shared::new(&builder, StoreProfile::unproven())?);
            let report = probe(&shared, builder.probe_part_sizes).await?;
            let mut shared = Shared::clone(&shared);
            shared.set_profile(&builder, report.profile.clone());
            shared.report = Some(report);
            Ok(shared)
        };
        Box::pin(open.instrument(operation.span()))
            .await
            .map(|shared| Self(Arc::new(shared)))
            .map_err(|err| operation.decorate(err))
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.0.bucket
    }

    /// What the store can do, as it was given or probed.
    #[must_use]
    pub fn profile(&self) -> &StoreProfile {
        &self.0.profile
    }

    /// What was tried when the store was opened, and how it answered; `None` where a
    /// profile was given.
    #[must_use]
    pub fn probe_report(&self) -> Option<&ProbeReport> {
        self.0.report.as_ref()
    }

    /// The same store, with a budget of its own for what its transfers hold in memory
    /// together besides one part of each: so many bytes, and at most what the store has.
    /// Parts are smaller where that is needed to have three of them under way, but not
    /// smaller than the store takes them.
    #[must_use]
    pub fn bounded_by(&self, memory_bytes: u64) -> Self {
        Self(Arc::new(self.0.bounded(memory_bytes)))
    }

    /// Abandons the uploads below the prefix that began before so long a time, and says how
    /// many.
    ///
    /// An upload is abandoned by itself when `put_stream` fails or is dropped. What is left
    /// are those of processes that died; a store keeps their parts, and bills for them,
    /// until somebody removes them. Choose a time that is longer than any upload takes.
    ///
    /// # Errors
    /// `Unsupported` where the store cannot list uploads; `PermissionDenied`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave some of the uploads.
    pub async fn sweep_uploads(&self, older_than: std::time::Duration) -> Result<u64> {
        let before = self.0.clock.now().saturating_sub(older_than);
        self.sweep_uploads_below("", before).await
    }

    async fn sweep_uploads_below(&self, prefix: &str, before: Timestamp) -> Result<u64> {
        let operation = self.0.writing("object_store.sweep_uploads");
        let sweep = upload::sweep(&self.0, &operation, prefix, before);
        sweep
            .instrument(operation.span())
            .await
            .map_err(|err| operation.decorate(err))
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store")
            .field("provider", &self.0.provider.as_str())
            .field("bucket", &self.0.bucket)
            .field("prefix", &self.0.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    fn provider(&self) -> ProviderId {
        self.0.provider.clone()
    }

    fn limits(&self) -> ObjectStoreLimits {
        self.0.limits
    }

    async fn put(&self, key: &ObjectKey, data: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let operation = self.0.writing("object_store.put").on(key);
        let put = put::bytes(&self.0, &operation, key, data, options);
        put.instrument(operation.span())
            .await
            .map_err(|err| operation.decorate(err))
    }

    async fn put_stream(
        &self,
        key: &ObjectKey,
        data: ByteStream,
        options: PutOptions,
    ) -> Result<ObjectMeta> {
        let operation = self.0.writing("object_store.put_stream").on(key);
        let put = put::stream(&self.0, &operation, key, data, options);
        put.instrument(operation.span())
            .await
            .map_err(|failure| match failure {
                put::Failure::Source(err) => err,
                put::Failure::Store(err) => operation.decorate(err),
            })
    }

    async fn get(&self, key: &ObjectKey, options: GetOptions) -> Result<GetResult> {
        let operation = self.0.reading("object_store.get").on(key);
        let get = get::get(&self.0, &operation, key, options);
        get.instrument(operation.span())
            .await
            .map_err(|err| operation.decorate(err))
    }

    async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta> {
        let operation = self.0.reading("object_store.head").on(key);
        let head = get::head(&self.0, &operation, key);
        head.instrument(operation.span())
            .await
            .map(|head| head.meta)
            .map_err(|err| operation.decorate(err))
    }

    fn list(&self, options: ListOptions) -> ItemStream<ObjectMeta> {
        list::objects(&self.0, options)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<DeleteOutcome> {
        let operation = self.0.writing("object_store.delete").on(key);
        let delete = delete::one(&self.0, &operation, key);
        delete
            .instrument(operation.span())
            .await
            .map_err(|err| operation.decorate(err))
    }

    async fn delete_many(&self, keys: Vec<ObjectKey>) -> Result<Vec<Result<DeleteOutcome>>> {
        let operation = self.0.writing("object_store.delete_many");
        let delete = delete::many(&self.0, &operation, keys);
        Ok(delete.instrument(operation.span()).await)
    }

    async fn copy(
        &self,
        from: &ObjectKey,
        to: &ObjectKey,
        condition: PutCondition,
    ) -> Result<ObjectMeta> {
        let operation = self.0.writing("object_store.copy").on(to);
        let copy = copy::object(&self.0, &operation, from, to, condition);
        copy.instrument(operation.span())
            .await
            .map_err(|err| operation.decorate(err))
    }

    async fn abandon_uploads(&self, prefix: &str, begun_before: Timestamp) -> Result<u64> {
        match self.sweep_uploads_below(prefix, begun_before).await {
            Err(err) if err.kind() == ErrorKind::Unsupported => Ok(0),
            outcome => outcome,
        }
    }

    fn bounded(&self, memory_bytes: u64) -> Option<Arc<dyn ObjectStore>> {
        Some(Arc::new(self.bounded_by(memory_bytes)))
    }

    fn as_presign(&self) -> Option<&dyn Presign> {
        Some(self)
    }

    fn as_lifecycle(&self) -> Option<&dyn Lifecycle> {
        (self.0.profile.lifecycle && self.0.prefix.is_empty()).then_some(self as _)
    }

    fn as_versions(&self) -> Option<&dyn Versions> {
        self.0.profile.versions.then_some(self as _)
    }

    fn as_object_lock(&self) -> Option<&dyn ObjectLock> {
        self.0.profile.object_lock.then_some(self as _)
    }

    fn as_bucket_admin(&self) -> Option<&dyn BucketAdmin> {
        self.0.prefix.is_empty().then_some(self as _)
    }
}
