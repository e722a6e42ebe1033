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
use aws_smithy_runtime::client::defaults::{DefaultPluginParams, default_plugins};
use aws_smithy_runtime::client::orchestrator::invoke;
use aws_smithy_runtime::client::retries::RetryPartition;
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
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::{RuntimePlugins, StaticRuntimePlugin};
use aws_smithy_runtime_api::client::ser_de::{SharedRequestSerializer, SharedResponseDeserializer};
use aws_smithy_types::Document;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::endpoint::Endpoint;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
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
pub(crate) struct Wire(RuntimePlugins);

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
        let (endpoint, signing) = endpoint(builder, path_style)?;
        // By this name operations share their quota of retries: it is that of the SDK.
        let service = format!("s3-{}", builder.region);
        let layer = settings(service.clone(), signing, retries);
        let components = defaults(&service)?
            .merge_from(&classifiers())
            .with_http_client(Some(transport))
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
            .with_config(layer.freeze())
            .with_runtime_components(components);
        Ok(Self(RuntimePlugins::new().with_client_plugin(plugin)))
    }

    /// Sends a request, by the SDK's retries.
    pub(crate) async fn send(
        &self,
        request: WireRequest,
    ) -> Result<WireAnswer, SdkError<Refused, HttpResponse>> {
        let sent = invoke("s3", NAME, Input::erase(request), &self.0).await;
        match sent {
            Ok(answer) => answer.downcast().map_err(|_| foreign()),
            Err(err) => Err(err.map_service_error(|err| err.downcast().unwrap_or_default())),
        }
    }
}

/// The request of these operations, for whoever asks the SDK.
const NAME: &str = "ObjectRequest";

/// The reader makes no other answers.
#[cold]
fn foreign() -> SdkError<Refused, HttpResponse> {
    SdkError::construction_failure("an answer of another operation")
}

/// What the SDK adds to each operation, merged once: such as the quota of retries, the
/// cache of credentials and the clock.
fn defaults(service: &str) -> Result<RuntimeComponentsBuilder> {
    let params = DefaultPluginParams::new()
        .with_retry_partition_name(service.to_owned())
        .with_behavior_version(BehaviorVersion::latest());
    RuntimePlugins::new()
        .with_client_plugins(default_plugins(params))
        .apply_client_configuration(&mut ConfigBag::base())
        .map_err(|source| {
            Error::new(ErrorKind::Internal, "the SDK has no defaults").with_source(source)
        })
}

/// Which failures are tried again: those of the SDK's own operations on objects.
fn classifiers() -> RuntimeComponentsBuilder {
    let transient: Vec<&'static str> = TRANSIENT_ERRORS
        .iter()
        .copied()
        .chain(["InternalError"])
        .collect();
    RuntimeComponentsBuilder::new("wire")
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
}

/// All that an operation is told, in one layer: each layer is looked through anew for each
/// of them.
fn settings(service: String, signing: SigV4OperationSigningConfig, retries: RetryConfig) -> Layer {
    let mut layer = Layer::new("wire");
    layer.store_put(SharedRequestSerializer::new(request::Writer));
    layer.store_put(SharedResponseDeserializer::new(answer::Reader));
    layer.store_put(Metadata::new(NAME, "s3"));
    layer.store_put(RetryPartition::new(service));
    layer.store_put(retries);
    // The transport has its own timeouts.
    layer.store_put(TimeoutConfig::disabled());
    layer.store_put(StalledStreamProtectionConfig::disabled());
    layer.store_put(signing);
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(EndpointResolverParams::new(()));
    layer
}

/// Where the bucket is, by the SDK's rules, and how they want requests to be signed.
fn endpoint(
    builder: &S3StoreBuilder,
    path_style: bool,
) -> Result<(Endpoint, SigV4OperationSigningConfig)> {
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
    Ok(signed_as_told(
        resolved.map_err(|err| unusable(err.to_string()))?,
    ))
}

/// Takes out of an endpoint what it says about signatures: what stays in it is copied for
/// each request.
fn signed_as_told(endpoint: Endpoint) -> (Endpoint, SigV4OperationSigningConfig) {
    // As S3 wants paths to be signed.
    let mut options = SigningOptions::default();
    options.double_uri_encode = false;
    options.content_sha256_header = true;
    options.normalize_uri_path = false;
    let mut signing = SigV4OperationSigningConfig {
        signing_options: options,
        ..SigV4OperationSigningConfig::default()
    };
    let mut schemes = endpoint.auth_schemes().iter();
    let Some(scheme) = schemes.find(|scheme| scheme.name() == SCHEME_ID.inner()) else {
        return (endpoint, signing);
    };
    let told = |property| scheme.get(property).and_then(Document::as_string);
    let (Some(name), Some(region)) = (told("signingName"), told("signingRegion")) else {
        return (endpoint, signing);
    };
    if endpoint.headers().next().is_some() {
        return (endpoint, signing);
    }
    signing.name = Some(SigningName::from(name.to_owned()));
    signing.region = Some(SigningRegion::from(Region::new(region.to_owned())));
    let plain = Endpoint::builder().url(endpoint.url().to_owned());
    (plain.build(), signing)
}

/// An endpoint that is known.
#[derive(Debug)]
struct Fixed(Endpoint);

impl ResolveEndpoint for Fixed {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(self.0.clone()))
    }
}
