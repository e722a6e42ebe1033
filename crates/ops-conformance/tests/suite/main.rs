//! The kit tested by itself: the in-memory providers pass every case, and each case is
//! failed by a provider that was made to fail it.

mod hosting;
