//! How fast a [`KeyedTable`] is beside a plain hash map, with and without a snapshot each second.
//!
//! `cargo run --release -p tidegate-state --example table_bench -- [keys] [updates] [groups]`

#![expect(clippy::disallowed_methods, reason = "it measures what that takes")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    hint::black_box,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use tidegate_state::{KeyedTable, PREFETCH_WINDOW, Pack, SharedGroup, hash_keys};
use tidegate_types::{KeyGroupRange, KeyHash, MaxParallelism};

/// Records in a batch.
const BATCH: u64 = 1024;

/// Uniform keys from a small generator, the same for every contender.
struct Keys {
    state: u64,
    count: u64,
}

impl Keys {
    const fn new(count: u64) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, count }
    }

    #[inline]
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((u128::from(self.state) * u128::from(self.count)) >> 64) as u64
    }
}

fn table(keys: u64, groups: u32) -> KeyedTable<u64, u64> {
    let max = MaxParallelism::new(groups).expect("1 to 32768 groups");
    let mut table = KeyedTable::new(KeyGroupRange { start: 0, end: groups }, max);
    for key in 0..keys {
        table.insert(KeyHash::of(&key), &key, 0);
    }
    table
}

fn plain(keys: u64, updates: u64) -> f64 {
    let mut map = hashbrown::HashMap::<u64, u64>::new();
    map.extend((0..keys).map(|key| (key, 0)));
    let (mut source, started) = (Keys::new(keys), Instant::now());
    for _ in 0..updates {
        *map.entry(source.next()).or_insert(0) += 1;
    }
    black_box(&map);
    rate(updates, started)
}

/// Hash and update, record by record.
fn one_by_one(keys: u64, updates: u64, groups: u32) -> f64 {
    let mut table = table(keys, groups);
    let (mut source, started) = (Keys::new(keys), Instant::now());
    for _ in 0..updates {
        let key = source.next();
        *table.get_or_insert_with(KeyHash::of(&key), &key, || 0) += 1;
    }
    black_box(&table);
    rate(updates, started)
}

/// A batch as operators get it.
#[derive(Default)]
struct Batch {
    keys: Vec<u64>,
    hashes: Vec<KeyHash>,
}

impl Batch {
    fn update(&mut self, source: &mut Keys, table: &mut KeyedTable<u64, u64>) {
        self.keys.clear();
        self.keys.extend((0..BATCH).map(|_| source.next()));
        hash_keys(&self.keys, &mut self.hashes);
        let keys = self.keys.chunks(PREFETCH_WINDOW);
        for (keys, hashes) in keys.zip(self.hashes.chunks(PREFETCH_WINDOW)) {
            table.prefetch(hashes);
            for (key, hash) in keys.iter().zip(hashes) {
                *table.get_or_insert_with(*hash, key, || 0) += 1;
            }
        }
    }
}

/// Hash a batch and ask for the memory, then update.
fn batched(keys: u64, updates: u64, groups: u32) -> f64 {
    let (mut table, mut batch) = (table(keys, groups), Batch::default());
    let (mut source, started) = (Keys::new(keys), Instant::now());
    for _ in 0..updates / BATCH {
        batch.update(&mut source, &mut table);
    }
    black_box(&table);
    rate(updates, started)
}

/// With a share each second that another thread encodes. Returns the longest share too.
fn snapshotted(keys: u64, updates: u64, groups: u32) -> (f64, Duration, Vec<Duration>) {
    let (mut table, mut batch) = (table(keys, groups), Batch::default());
    let (sender, receiver) = mpsc::channel();
    let encoder = thread::spawn(move || receiver.into_iter().map(encode).collect::<Vec<_>>());
    let pack: Pack<u64, u64> =
        Arc::new(|entry, out| tidegate_snapshot::codec::encode(entry, out).map(|()| true));
    let (mut source, started) = (Keys::new(keys), Instant::now());
    let (mut longest, mut next) = (Duration::ZERO, Duration::from_millis(500));
    for _ in 0..updates / BATCH {
        if started.elapsed() >= next {
            next += Duration::from_secs(1);
            let barrier = Instant::now();
            let shared = table.share(&pack);
            longest = longest.max(barrier.elapsed());
            sender.send(shared).expect("the encoder runs until the sender is dropped");
        }
        let begun = Instant::now();
        batch.update(&mut source, &mut table);
        let (packing, share) = (Instant::now(), begun.elapsed() / 4);
        while table.pack_some() && packing.elapsed() < share {}
    }
    let rate = rate(updates, started);
    while table.pack_some() {}
    drop(sender);
    (rate, longest, encoder.join().expect("the encoder does not panic"))
}

fn encode(groups: Vec<SharedGroup<u64, u64>>) -> Duration {
    let started = Instant::now();
    let mut bytes = Vec::new();
    for group in groups {
        for piece in group.packed().expect("integers encode").pieces {
            bytes.extend_from_slice(&piece.bytes);
        }
    }
    black_box(&bytes);
    started.elapsed()
}

fn rate(updates: u64, started: Instant) -> f64 {
    updates as f64 / started.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let mut arguments =
        std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a positive number"));
    let keys = arguments.next().unwrap_or(1_000_000);
    let updates = arguments.next().unwrap_or(50_000_000);
    let groups = arguments.next().and_then(|n| u32::try_from(n).ok()).unwrap_or(128);
    for round in 0..3 {
        let base = plain(keys, updates);
        let single = one_by_one(keys, updates, groups);
        let table = batched(keys, updates, groups);
        let (shared, longest, encodings) = snapshotted(keys, updates, groups);
        println!(
            "round {round}: plain {base:.1} M/s, table {single:.1} M/s ({:.2}), in batches \
             {table:.1} M/s ({:.2}), with snapshots {shared:.1} M/s ({:.2}), longest share \
             {longest:.1?}, encodings {encodings:.1?}",
            single / base,
            table / base,
            shared / base,
        );
    }
}
