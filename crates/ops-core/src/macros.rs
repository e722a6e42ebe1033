//! Macros of this crate alone.

/// Writes the `with_*` setters of a request struct.
///
/// `opt` sets `Some(value)`, `opt_into` sets `Some(value.into())`, `into` sets
/// `value.into()`, `val` sets the value. The blocks come in this order.
macro_rules! setters {
    ($name:ident {
        $(opt { $($opt_fn:ident($opt:ident: $opt_ty:ty)),+ $(,)? })?
        $(opt_into { $($into_fn:ident($into:ident: $into_ty:ty)),+ $(,)? })?
        $(into { $($plain_fn:ident($plain:ident: $plain_ty:ty)),+ $(,)? })?
        $(val { $($val_fn:ident($val:ident: $val_ty:ty)),+ $(,)? })?
    }) => {
        impl $name {
            $($(
                #[doc = concat!("Sets [`", stringify!($opt), "`](Self#structfield.", stringify!($opt), ").")]
                #[must_use]
                pub fn $opt_fn(mut self, $opt: $opt_ty) -> Self {
                    self.$opt = Some($opt);
                    self
                }
            )+)?
            $($(
                #[doc = concat!("Sets [`", stringify!($into), "`](Self#structfield.", stringify!($into), ").")]
                #[must_use]
                pub fn $into_fn(mut self, $into: impl Into<$into_ty>) -> Self {
                    self.$into = Some($into.into());
                    self
                }
            )+)?
            $($(
                #[doc = concat!("Sets [`", stringify!($plain), "`](Self#structfield.", stringify!($plain), ").")]
                #[must_use]
                pub fn $plain_fn(mut self, $plain: impl Into<$plain_ty>) -> Self {
                    self.$plain = $plain.into();
                    self
                }
            )+)?
            $($(
                #[doc = concat!("Sets [`", stringify!($val), "`](Self#structfield.", stringify!($val), ").")]
                #[must_use]
                pub fn $val_fn(mut self, $val: $val_ty) -> Self {
                    self.$val = $val;
                    self
                }
            )+)?
        }
    };
}

pub(crate) use setters;
