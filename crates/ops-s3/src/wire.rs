//! The requests that there are many of, without what the SDK generates around them.
//!
//! Each operation of the SDK brings some twenty interceptors and evaluates the rules of
//! endpoints anew: twice the CPU of what a small object needs. Here an operation is one
//! value, made when the store is opened, which the SDK's own orchestrator runs: the same
//! signatures, credentials, attempts, pauses and retry quota, and the same transport. The
//! endpoint is what the SDK's rules say, asked for once.

use std::fmt;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::retries::classifiers::{AwsErrorCodeClassifier, TRANSIENT_ERRORS};
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_sdk_s3::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, StalledStreamProtectionConfig};
use aws_sdk_s3::error::SdkError;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime::client::retries::strategy::StandardRetryStrategy;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::endpoint::{
    EndpointFuture, EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::endpoint::Endpoint;
use futures_util::FutureExt as _;
use ops_core::{Error, ErrorKind, Result};

use crate::client::{Conflicts, FixedHeaders};
use crate::config::S3StoreBuilder;
use crate::credentials::Adapter;
use crate::trace::Follow;
use crate::transport::Transport;

mod answer;
mod request;

pub(crate) use answer::{Refused, WireAnswer};
pub(crate) use request::WireRequest;

/// What sends them.
#[derive(Clone)]
pub(crate) struct Wire(Operation<WireRequest, WireAnswer, Refused>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl Wire {
    /// Makes what sends the requests of a store. Nothing is sent.
    pub(crate) fn new(
        builder: &S3StoreBuilder,
        credentials: Adapter,
        transport: Transport,
        retries: RetryConfig,
        path_style: bool,
    ) -> Result<Self> {
        let endpoint = endpoint(builder, path_style)?;
        let transient: Vec<&'static str> = TRANSIENT_ERRORS
            .iter()
            .copied()
            .chain(["InternalError"])
            .collect();
        let components = RuntimeComponentsBuilder::new("wire")
            .with_retry_strategy(Some(StandardRetryStrategy::new()))
            .with_retry_classifier(HttpStatusCodeClassifier::default())
            .with_retry_classifier(TransientErrorClassifier::<Refused>::new())
            .with_retry_classifier(
                AwsErrorCodeClassifier::<Refused>::builder()
                    .transient_errors(transient)
                    .build(),
            )
            .with_retry_classifier(ServiceClockSkewClassifier::<Refused>::new())
            .with_retry_classifier(Conflicts)
            .with_interceptor(ServiceClockSkewInterceptor::new())
            .with_interceptor(FixedHeaders::new(builder)?)
            .with_interceptor(Follow)
            .with_endpoint_resolver(Some(SharedEndpointResolver::new(Fixed(endpoint))))
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
            )))
            .with_identity_resolver(
                SCHEME_ID,
                SharedIdentityResolver::new(SharedCredentialsProvider::new(credentials)),
            );
        let plugin = StaticRuntimePlugin::new()
            .with_config(signing().freeze())
            .with_runtime_components(components);
        let operation = Operation::builder()
            // By this name operations share their quota of retries: it is that of the SDK.
            .service_name(format!("s3-{}", builder.region))
            .operation_name("ObjectRequest")
            .behavior_version(BehaviorVersion::latest())
            .http_client(transport)
            .standard_retry(&retries)
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .with_connection_poisoning()
            .runtime_plugin(plugin)
            .serializer(WireRequest::into_http)
            .deserializer_impl(answer::Reader)
            .build();
        Ok(Self(operation))
    }

    /// Sends a request, by the SDK's retries.
    pub(crate) async fn send(
        &self,
        request: WireRequest,
    ) -> Result<WireAnswer, SdkError<Refused, HttpResponse>> {
        self.0.invoke(request).await
    }
}

/// As S3 wants paths to be signed.
fn signing() -> Layer {
    let mut options = SigningOptions::default();
    options.double_uri_encode = false;
    options.content_sha256_header = true;
    options.normalize_uri_path = false;
    let mut layer = Layer::new("wire");
    layer.store_put(SigV4OperationSigningConfig {
        signing_options: options,
        ..SigV4OperationSigningConfig::default()
    });
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(EndpointResolverParams::new(()));
    layer
}

/// Where the bucket is, by the SDK's rules.
fn endpoint(builder: &S3StoreBuilder, path_style: bool) -> Result<Endpoint> {
    let unusable = |why: String| {
        let message = format!("the bucket has no endpoint: {why}");
        Error::new(ErrorKind::InvalidConfig, message)
    };
    let given = builder.endpoint.as_deref();
    let params = Params::builder()
        .bucket(&builder.bucket)
        .region(&builder.region)
        .set_endpoint(given.map(|it| it.trim_end_matches('/').to_owned()))
        .force_path_style(path_style)
        .build()
        .map_err(|err| unusable(err.to_string()))?;
    let resolver = DefaultResolver::new();
    let resolved = resolver.resolve_endpoint(&params).now_or_never();
    let resolved = resolved.ok_or_else(|| unusable("the rules do not answer".to_owned()))?;
    resolved.map_err(|err| unusable(err.to_string()))
}

/// An endpoint that is known.
#[derive(Debug)]
struct Fixed(Endpoint);

impl ResolveEndpoint for Fixed {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(self.0.clone()))
    }
}
