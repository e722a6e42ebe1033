//! One test for each major of PostgreSQL that is supported.

use ops_pg::binaries::Major;
use ops_testkit::{Pg, fixture};

/// Whether a server of a major is installed. Where none is, that is said: a machine need not
/// have them all.
pub(crate) async fn is_installed(major: u32) -> bool {
    let installed = Pg::available_majors().await.contains(&Major(major));
    if !installed {
        fixture::inapplicable(format_args!("no server of PostgreSQL {major} is installed"));
    }
    installed
}

/// Whether tests that ask for no major get this one.
pub(crate) async fn is_default(major: u32) -> bool {
    match fixture::pg_major() {
        Some(default) => default == major,
        None => Pg::available_majors().await.last() == Some(&Major(major)),
    }
}

/// Makes tests of a function that takes a major: one for each, where it is installed.
macro_rules! on_each_major {
    ($run:ident) => {
        mod $run {
            $crate::majors::on_each_major!($run: on_13 13, on_14 14, on_15 15, on_16 16, on_17 17, on_18 18);
        }
    };
    ($run:ident: $($test:ident $major:literal),+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                if $crate::majors::is_installed($major).await {
                    super::$run($major).await;
                    println!("PostgreSQL {}: {}", $major, stringify!($run));
                }
            }
        )+
    };
}

pub(crate) use on_each_major;
