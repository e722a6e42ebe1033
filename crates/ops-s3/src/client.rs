//! The SDK's client, set up.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, ConfigBag, Intercept, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::operation::copy_object::CopyObjectError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    Error as AnyError, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use hyper::http::{HeaderName, HeaderValue};
use ops_core::{Error, ErrorKind, Result};

use crate::config::{Addressing, S3StoreBuilder};
use crate::credentials::Adapter;
use crate::trace::Follow;
use crate::transport::{Roots, Timeouts, Transport, client_config};
use crate::wire::{Refused, Wire};

/// Makes the client of a store, and what sends the requests that there are many of. Nothing
/// is sent.
pub(crate) fn client(builder: &S3StoreBuilder, credentials: Adapter) -> Result<(Client, Wire)> {
    let roots = match &builder.root_certificates {
        _ if !builder.uses_tls() => Roots::None,
        Some(pem) => Roots::Given(pem),
        None => Roots::System,
    };
    let tls = client_config(builder.min_tls, &roots)?;
    let timeouts = Timeouts {
        connect: builder.connect_timeout,
        attempt: builder.attempt_timeout,
        stall: builder.stall_timeout,
    };
    let addressing = builder.addressing.unwrap_or(if builder.endpoint.is_some() {
        Addressing::Path
    } else {
        Addressing::VirtualHost
    });
    let retries = RetryConfig::standard()
        .with_max_attempts(builder.max_attempts)
        .with_initial_backoff(builder.initial_backoff);
    let path_style = addressing == Addressing::Path;
    let transport = Transport::new(tls, timeouts, builder.allow_http);
    let wire = Wire::new(
        builder,
        credentials.clone(),
        transport.clone(),
        retries.clone(),
        path_style,
    )?;
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(builder.region.clone()))
        .credentials_provider(credentials)
        .http_client(transport)
        .retry_config(retries)
        .retry_classifier(Conflicts)
        // The transport has its own timeouts, which know about the size of a body.
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Checksums are ours, so that each is computed once and compared with the answer.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(path_style)
        .interceptor(FixedHeaders::new(builder)?)
        .interceptor(Follow);
    let config = match &builder.endpoint {
        Some(endpoint) => config.endpoint_url(endpoint.trim_end_matches('/')),
        None => config,
    };
    Ok((Client::from_conf(config.build()), wire))
}

/// Repeats a conditional write that collided with another one, as S3 asks for: the answer
/// is not yet decided then.
#[derive(Debug)]
pub(crate) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(err)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        match err.as_operation_error().and_then(code_of_write) {
            Some("ConditionalRequestConflict" | "OperationAborted") => {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Conflicts"
    }
}

fn code_of_write(err: &AnyError) -> Option<&str> {
    if let Some(err) = err.downcast_ref::<Refused>() {
        return err.code();
    }
    if let Some(err) = err.downcast_ref::<PutObjectError>() {
        return err.code();
    }
    if let Some(err) = err.downcast_ref::<CompleteMultipartUploadError>() {
        return err.code();
    }
    err.downcast_ref::<CopyObjectError>()
        .and_then(|err| err.code())
}

/// Headers that every request carries.
#[derive(Debug)]
pub(crate) struct FixedHeaders(Vec<(HeaderName, HeaderValue)>);

impl FixedHeaders {
    pub(crate) fn new(builder: &S3StoreBuilder) -> Result<Self> {
        let headers = builder.headers.iter().map(|(name, value)| {
            let mut value = HeaderValue::try_from(value.expose())?;
            value.set_sensitive(true);
            Ok((HeaderName::try_from(name)?, value))
        });
        headers
            .collect::<Result<_, hyper::http::Error>>()
            .map(Self)
            .map_err(|source| {
                Error::new(ErrorKind::InvalidConfig, "a header is not one").with_source(source)
            })
    }
}

#[dyn_dispatch_hint]
impl Intercept for FixedHeaders {
    fn name(&self) -> &'static str {
        "FixedHeaders"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        for (name, value) in &self.0 {
            headers.try_insert(name.clone(), value.clone())?;
        }
        Ok(())
    }
}
