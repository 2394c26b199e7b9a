//! Generators go on exactly, at whatever parallelism.

use proptest::prelude::*;
use tidegate_connectors::generator::{self, Generator};

use crate::harness::SourceJob;

fn cut_in_pieces<F>(source: &Generator<u64, F>, pieces: &[(usize, usize, u32)]) -> Vec<u64>
where
    F: Fn(u64) -> u64 + Clone + 'static,
{
    let (mut records, mut snapshot) = (Vec::new(), Vec::new());
    for &(count, budget, parallelism) in pieces {
        let mut job = SourceJob::start(source, parallelism, &snapshot).expect("starts");
        records.extend(job.read(count, budget).expect("reads"));
        snapshot = job.snapshot();
    }
    records.sort_unstable();
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn bounded(count in 0..3_000u64, first in 0..3_000usize, budget in 1..500usize, from in 1..5u32, to in 1..5u32) {
        let source = Generator::new(Some(count), |index| index);
        let pieces = [(first, budget, from), (usize::MAX, budget, to)];
        prop_assert_eq!(cut_in_pieces(&source, &pieces), (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn endless(counts in proptest::collection::vec((0..2_000usize, 1..500usize, 1..5u32), 1..5)) {
        let source = Generator::new(None, |index| index);
        let records = cut_in_pieces(&source, &counts);
        // Each subtask may bring a batch more than asked for.
        let asked = counts.iter().map(|(count, ..)| count).sum::<usize>();
        prop_assert!(records.len() >= asked);
        let mut distinct = records.clone();
        distinct.dedup();
        prop_assert_eq!(distinct, records);
    }
}

#[test]
fn endless_generators_leave_no_index_out() {
    let source = Generator::new(None, |index| index);
    // One run of each of the 128 splits, and again.
    let records = cut_in_pieces(&source, &[(128 * 10, 10, 1), (128 * 10, 10, 1)]);
    let mut job = SourceJob::start(&source, 1, &[]).unwrap();
    let mut whole = job.read(128 * 20, 10).unwrap();
    whole.sort_unstable();
    assert_eq!(whole, (0..128 * 20).collect::<Vec<_>>());
    assert_eq!(records.len(), 128 * 20);
}

#[test]
fn a_sequence_is_its_range() {
    let mut job = SourceJob::start(&generator::sequence(100..1_100), 3, &[]).unwrap();
    let mut records = job.read(usize::MAX, 64).unwrap();
    records.sort_unstable();
    assert_eq!(records, (100..1_100).collect::<Vec<_>>());
    assert_eq!((job.progress().done, job.progress().total), (1_000, 1_000));
}

#[test]
fn another_count_does_not_fit_the_snapshot() {
    let mut job = SourceJob::start(&generator::sequence(0..1_000), 1, &[]).unwrap();
    let snapshot = job.snapshot();
    assert!(snapshot[0].items.is_empty(), "nothing is discovered before the first poll");
    job.read(1, 1).unwrap();
    let error = SourceJob::start(&generator::sequence(0..2_000), 1, &job.snapshot()).err();
    let expected = "the snapshot's generator is not this one: its split 0 ends at Some(7), \
                    expected Some(15); its count must not change";
    assert_eq!(error.as_deref(), Some(expected));
}
