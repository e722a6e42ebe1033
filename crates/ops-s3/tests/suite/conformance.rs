use crate::contract;
use crate::support::Server;

macro_rules! cases {
    ($($case:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let server = Server::start().await;
            let store = server.builder().open().await.unwrap();
            println!("{}\n{}", store.probe_report().unwrap(), store.profile());
            contract::$case(&store).await;
        }
    )+};
}
cases!(
    what_was_put_is_read_and_described,
    an_empty_object_is_an_object,
    a_stream_of_unknown_length_is_put,
    a_stream_that_fails_leaves_nothing_and_its_error_comes_back,
    a_stream_that_fails_leaves_the_old_version,
    dropping_put_stream_leaves_nothing,
    nothing_is_visible_before_a_stream_has_ended,
    ranges_are_cut_at_the_end_and_refused_behind_it,
    what_is_missing_is_not_found,
    deleting_what_is_missing_succeeds,
    many_are_deleted_and_answered_in_order,
    listing_is_in_the_order_of_bytes,
    a_long_listing_comes_whole_and_once,
    of_racing_creates_one_wins,
    racing_swaps_lose_no_update,
    a_swap_needs_the_version_that_is_there,
    a_streamed_create_loses_to_what_is_there,
    equal_content_written_again_may_be_created_after_a_delete,
    a_wrong_checksum_leaves_nothing,
    a_copy_is_whole_and_obeys_its_condition,
    a_reader_sees_one_version
);
