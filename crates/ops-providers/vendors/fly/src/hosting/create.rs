//! Making apps.

use async_trait::async_trait;
use ops_core::hosting::{
    App, AppSettings, AppState, CreateAppRequest, CreateApps, DeployRequest, Hosting,
};
use ops_core::id::AppId;
use ops_core::{ErrorKind, Result};

use crate::error::refuse;
use crate::model::body::CreateApp;
use crate::settings::{Changes, Shape};
use crate::{Fly, api};

#[async_trait]
impl CreateApps for Fly {
    /// Names are unique at Fly as a whole, and there are no idempotency keys: one is refused.
    /// After an unknown outcome look whether the app is there.
    ///
    /// Settings are kept by machines, so that they need a source. An app whose first
    /// deployment fails is there all the same, and empty.
    async fn create_app(&self, request: CreateAppRequest) -> Result<App> {
        let CreateAppRequest {
            name,
            settings,
            source,
            idempotency_key,
            ..
        } = request;
        if idempotency_key.is_some() {
            return Err(refuse(
                ErrorKind::Unsupported,
                "an idempotency key for an app",
            ));
        }
        let app = AppId::new(name.as_str())?;
        let regions = Some(settings.regions.as_slice()).filter(|it| !it.is_empty());
        let shape = Shape::of(settings.replicas.as_ref(), regions)?;
        Changes::of(&settings, &shape)?;
        if source.is_none() && settings != AppSettings::default() {
            let text = "Fly keeps how an app runs in its machines: settings without a source";
            return Err(refuse(ErrorKind::Unsupported, text));
        }
        let body = CreateApp {
            name: &name,
            org_slug: &self.inner.settings.organization,
        };
        match self.inner.machines.execute(api::create_app(&body)).await {
            Ok(()) => {}
            Err(err) if err.kind() == ErrorKind::AlreadyExists && !self.is_ours(&app).await => {
                // The name is somebody else's, whose app is not ours to name.
                return Err(refuse(ErrorKind::AlreadyExists, err.message().to_owned())
                    .with_operation("Apps_create"));
            }
            Err(err) => return Err(err),
        }
        if let Some(source) = source {
            self.deploy(&app, DeployRequest::new(source).with_settings(settings))
                .await?;
            return self.app(&app).await;
        }
        Ok(App::new(app, name, AppState::Empty))
    }
}

impl Fly {
    /// Whether the app belongs to the organization.
    async fn is_ours(&self, app: &AppId) -> bool {
        let seen = self.inner.machines.execute(api::show_app(app)).await;
        let organization = seen.ok().and_then(|it| it.organization);
        let slug = organization.and_then(|it| it.slug);
        slug.is_some_and(|slug| slug == self.inner.settings.organization)
    }
}
