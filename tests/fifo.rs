//! FIFO queues as who links the library sees them: one body of checks, run over each home.
#![cfg(all(feature = "mapped", feature = "fifo", not(ringmain_loom)))]

mod common;

#[path = "fifo/basics.rs"]
mod basics;
#[path = "fifo/homes.rs"]
mod homes;

macro_rules! over_each_home {
    ($($module:ident: $($check:ident)*;)*) => {
        over_each_home!(@home in_borrowed_bytes $($module: $($check)*;)*);
        over_each_home!(@home in_the_heap $($module: $($check)*;)*);
        over_each_home!(@home in_a_file $($module: $($check)*;)*);
        over_each_home!(@home in_shared_memory $($module: $($check)*;)*);
    };
    (@home $home:ident $($module:ident: $($check:ident)*;)*) => {
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

over_each_home! {
    basics: a_group_is_received_in_order a_locked_group_gives_nothing
        a_batch_drains_a_group_before_the_next duplicates_are_accepted_and_not_delivered
        what_comes_back_is_the_oldest_again expired_receipts_are_refused
        purge_clears_messages_and_window figures_count_what_was_accepted everything_comes_back;
}
