//! What several tests need.

use futures_util::TryStreamExt as _;
use ops_core::object_store::ItemStream;

/// All items of a list.
pub(crate) async fn all<T>(items: ItemStream<T>) -> Vec<T> {
    items.try_collect().await.unwrap()
}
