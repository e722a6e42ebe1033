//! What a vendor's API offers, as constants.

use http::Method;

/// Whether a request may be sent again when its outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Idempotency {
    /// It changes nothing: GET, HEAD, and a POST that only asks.
    Safe,
    /// Twice is the same as once: PUT, DELETE, or any call with an idempotency key.
    Idempotent,
    /// Twice is not the same as once: it is never sent again when it may have been applied.
    Once,
}

/// One operation of a vendor's API.
///
/// A vendor crate lists its operations as constants in `api.rs` and all of them in one
/// `OPERATIONS` slice, from which the contract check knows what the crate can send.
///
/// ```
/// use ops_http::{Idempotency, Operation};
///
/// const GET_APP: Operation = Operation::get("Apps_show", "/apps/{app_name}").serves(&["Hosting"]);
/// const STOP: Operation = Operation::post("Machines_stop", "/apps/{app_name}/machines/{machine_id}/stop")
///     .idempotent()
///     .serves(&["Hosting/Restart"]);
///
/// assert_eq!(GET_APP.class(), Idempotency::Safe);
/// assert_eq!(STOP.class(), Idempotency::Idempotent);
/// ```
#[derive(Clone, Debug)]
pub struct Operation {
    id: &'static str,
    method: Method,
    template: &'static str,
    class: Idempotency,
    serves: &'static [&'static str],
}

impl Operation {
    const fn new(
        id: &'static str,
        method: Method,
        template: &'static str,
        class: Idempotency,
    ) -> Self {
        Self {
            id,
            method,
            template,
            class,
            serves: &[],
        }
    }

    /// A GET, which is [`Idempotency::Safe`].
    ///
    /// The id is the vendor's own name of the operation. The template begins with `/`, is
    /// relative to the base URL, and names each variable segment in braces.
    #[must_use]
    pub const fn get(id: &'static str, template: &'static str) -> Self {
        Self::new(id, Method::GET, template, Idempotency::Safe)
    }

    /// A POST, which is [`Idempotency::Once`].
    #[must_use]
    pub const fn post(id: &'static str, template: &'static str) -> Self {
        Self::new(id, Method::POST, template, Idempotency::Once)
    }

    /// A PATCH, which is [`Idempotency::Once`].
    #[must_use]
    pub const fn patch(id: &'static str, template: &'static str) -> Self {
        Self::new(id, Method::PATCH, template, Idempotency::Once)
    }

    /// A PUT, which is [`Idempotency::Idempotent`].
    #[must_use]
    pub const fn put(id: &'static str, template: &'static str) -> Self {
        Self::new(id, Method::PUT, template, Idempotency::Idempotent)
    }

    /// A DELETE, which is [`Idempotency::Idempotent`].
    #[must_use]
    pub const fn delete(id: &'static str, template: &'static str) -> Self {
        Self::new(id, Method::DELETE, template, Idempotency::Idempotent)
    }

    /// Declares that sending it twice is the same as once.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.class = Idempotency::Idempotent;
        self
    }

    /// Declares that it changes nothing, such as a search by POST.
    #[must_use]
    pub const fn safe(mut self) -> Self {
        self.class = Idempotency::Safe;
        self
    }

    /// Declares that sending it twice is not the same as once.
    #[must_use]
    pub const fn once(mut self) -> Self {
        self.class = Idempotency::Once;
        self
    }

    /// Names the traits and abilities that need it, such as `Hosting` or `Hosting/Rollback`.
    #[must_use]
    pub const fn serves(mut self, serves: &'static [&'static str]) -> Self {
        self.serves = serves;
        self
    }

    /// The vendor's own name of the operation.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// The method.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The path template, relative to the base URL.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        self.template
    }

    /// Whether it may be sent again when its outcome is not known.
    #[must_use]
    pub const fn class(&self) -> Idempotency {
        self.class
    }

    /// The traits and abilities that need it.
    #[must_use]
    pub const fn served(&self) -> &'static [&'static str] {
        self.serves
    }
}

/// Declares the operations of a vendor, and `OPERATIONS` with all of them: what the crate
/// can send is what is listed here.
///
/// ```
/// mod api {
///     use ops_http::Operation;
///
///     ops_http::operations! {
///         /// Answers one app.
///         SHOW_APP = Operation::get("Apps_show", "/apps/{app_name}").serves(&["Hosting"]);
///         /// Removes an app.
///         DELETE_APP = Operation::delete("Apps_delete", "/apps/{app_name}").serves(&["Hosting"]);
///     }
/// }
///
/// let ids: Vec<&str> = api::OPERATIONS.iter().map(|it| it.id()).collect();
/// assert_eq!(ids, ["Apps_show", "Apps_delete"]);
/// ```
#[macro_export]
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $operation:expr;)+) => {
        $($(#[$doc])* pub(crate) static $name: $crate::Operation = $operation;)+

        /// Every operation that this crate can send.
        pub static OPERATIONS: &[&$crate::Operation] = &[$(&$name),+];
    };
}
