//! How the list of a suite's cases becomes its table and its macro.

/// Writes `CASES` and the suite's macro out of one list.
///
/// `($)` hands in the dollar sign that the macro inside needs. A line is the id, the
/// module and the function of the case, and the accessors that it needs.
macro_rules! suite {
    (
        ($d:tt) $(#[$doc:meta])* $suite:ident($fixture:ident, $provider:ident, $quirks_test:ident)
        $($id:literal $module:ident :: $name:ident [$($accessor:ident),*];)+
    ) => {
        /// The cases, in the order of their ids.
        pub const CASES: &[$crate::Case<dyn $fixture>] = &[$(
            $crate::Case {
                id: $id,
                name: stringify!($name),
                requirement: $crate::Requirement::abilities(&[$(stringify!($accessor)),*]),
                offered: |fixture| {
                    let provider = fixture.$provider();
                    let _ = &provider;
                    true $(&& provider.$accessor().is_some())*
                },
                run: |fixture| Box::pin(async move {
                    $crate::Outcome::from($module::$name(fixture).await)
                }),
            },
        )+];

        $(#[$doc])*
        #[macro_export]
        macro_rules! $suite {
            // First, as an expression may begin with an attribute, too.
            (#[$d attr:meta] $d fixture:expr $d(,)?) => {
                $crate::$suite!(@ [$d attr] $d fixture, &[]);
            };
            (#[$d attr:meta] $d fixture:expr, quirks: $d quirks:expr $d(,)?) => {
                $crate::$suite!(@ [$d attr] $d fixture, $d quirks);
            };
            ($d fixture:expr $d(,)?) => {
                $crate::$suite!(@ [] $d fixture, &[]);
            };
            ($d fixture:expr, quirks: $d quirks:expr $d(,)?) => {
                $crate::$suite!(@ [] $d fixture, $d quirks);
            };
            (@ [$d($d attr:meta)?] $d fixture:expr, $d quirks:expr) => {
                #[test]
                fn $quirks_test() {
                    $crate::run::test_quirks($crate::$suite::CASES, $d quirks);
                }
                $(
                    $d(#[$d attr])?
                    #[test]
                    fn $name() {
                        $crate::run::test($crate::$suite::CASES, stringify!($name), $d quirks, async {
                            ::std::boxed::Box::new($d fixture)
                                as ::std::boxed::Box<dyn $crate::$suite::$fixture>
                        });
                    }
                )+
            };
        }
    };
}

pub(crate) use suite;
