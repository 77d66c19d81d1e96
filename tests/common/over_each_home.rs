//! One body of checks, run over each home.

/// Makes a test of each check in each home: `[homes] module: checks; module: checks;`. The binary's
/// own `homes` has a function for each home, which makes what a check is given.
macro_rules! over_each_home {
    ([$($home:ident)*] $($checks:tt)*) => {
        over_each_home!(@each [$($home)*] { $($checks)* });
    };
    (@each [$($home:ident)*] $checks:tt) => {
        $(over_each_home!(@home $home $checks);)*
    };
    (@home $home:ident { $($module:ident: $($check:ident)*;)* }) => {
        mod $home {
            $($(
                #[test]
                fn $check() {
                    crate::homes::$home(crate::$module::$check);
                }
            )*)*
        }
    };
}
