//! Floor 0: what is seldom, told to whoever listens (feature `tracing`).
//!
//! Only this file names the `tracing` crate. Without the feature its macros look at their arguments
//! and compile to nothing. Nobody calls them where messages are sent, received and settled, but for
//! errors: an event costs more than an operation there.
#![forbid(unsafe_code)]

/// Tells an event: its level, its text, fields that are numbers or text, and after a semicolon
/// those that are printed.
#[cfg(feature = "tracing")]
macro_rules! event {
    (
        $level:ident, $text:literal $(, $field:ident = $value:expr)*
        $(; $($shown:ident = $display:expr),+)?
    ) => {
        ::tracing::event!(
            target: "ringmain",
            ::tracing::Level::$level,
            $($field = $value,)*
            $($($shown = %$display,)+)?
            $text
        )
    };
}

#[cfg(not(feature = "tracing"))]
macro_rules! event {
    (
        $level:ident, $text:literal $(, $field:ident = $value:expr)*
        $(; $($shown:ident = $display:expr),+)?
    ) => {
        if false {
            $(let _ = &$value;)*
            $($(let _ = &$display;)+)?
        }
    };
}

/// A span from here to the end of what it is bound to.
#[cfg(all(feature = "mapped", feature = "tracing"))]
macro_rules! span {
    ($level:ident, $name:literal; $($shown:ident = $display:expr),+) => {
        ::tracing::span!(
            target: "ringmain",
            ::tracing::Level::$level,
            $name,
            $($shown = %$display),+
        )
        .entered()
    };
}

/// What [`span!`] gives where nobody listens.
#[cfg(all(feature = "mapped", not(feature = "tracing")))]
pub struct NoSpan;

#[cfg(all(feature = "mapped", not(feature = "tracing")))]
macro_rules! span {
    ($level:ident, $name:literal; $($shown:ident = $display:expr),+) => {{
        if false {
            $(let _ = &$display;)+
        }
        $crate::trace::NoSpan
    }};
}

pub(crate) use event;
#[cfg(feature = "mapped")]
pub(crate) use span;
