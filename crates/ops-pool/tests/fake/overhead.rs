//! What the pool itself costs. Run it with
//! `cargo test --release -p ops-pool --test fake overhead -- --ignored --nocapture`.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

use crate::over;
use crate::server::Fake;

const ROUNDS: usize = 7;
const TURNS: u32 = 1_000_000;

fn median(mut nanos: Vec<f64>) -> f64 {
    nanos.sort_by(f64::total_cmp);
    nanos.get(nanos.len() / 2).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints a measurement; needs --release to mean anything"]
async fn overhead_of_an_acquire_and_a_release() {
    let pool = over(&Fake::new())
        .pool_size(8)
        .server_reset_query("")
        .build()
        .unwrap();
    drop(pool.acquire().await.unwrap());
    let floor = Mutex::new((0..8).map(Box::new).collect::<VecDeque<Box<i32>>>());
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..TURNS {
            drop(black_box(pool.acquire().await.unwrap()));
        }
        ours.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS));
        let begun = Instant::now();
        for _ in 0..TURNS {
            let one = floor.lock().unwrap().pop_front().unwrap();
            floor.lock().unwrap().push_back(black_box(one));
        }
        least.push(begun.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS));
    }
    let (ours, least) = (median(ours), median(least));
    println!(
        "acquire + release: {ours:.0} ns; two locks, pop and push: {least:.0} ns; {:.1}x",
        ours / least
    );
}
