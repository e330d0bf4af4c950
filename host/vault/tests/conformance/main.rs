//! What a vault promises, on every kind of store that it can lie in.

#![expect(
    clippy::unwrap_used,
    reason = "the promises are functions that tests on each store call"
)]

mod faults;
mod full;
mod house;
mod promises;

/// Runs each promise on a local folder and on an S3 server.
macro_rules! on_every_store {
    ($($promise:ident)*) => {
        mod local {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    crate::promises::$promise(&crate::house::House::local()).await;
                }
            )*
        }

        mod s3 {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $promise() {
                    crate::promises::$promise(&crate::house::House::s3()).await;
                }
            )*
        }
    };
}

on_every_store! {
    an_export_is_visible_whole_or_not_at_all
    a_draft_that_is_discarded_leaves_nothing_behind
    what_the_dead_left_is_found_and_swept_and_the_living_is_not
    an_upload_that_was_cut_off_is_swept
    a_range_is_what_it_says
    a_job_is_removed_with_all_its_attempts_and_no_other_is
    names_cannot_lead_out_of_the_vault
    several_files_lie_beside_each_other
    a_file_of_any_size_comes_back_as_it_was_written
    attempts_at_once_do_not_touch_each_other
    a_check_shows_that_the_store_works_and_leaves_nothing
    plugins_come_back_as_they_were_put_until_they_are_removed
}
