//! The coordinator under random interleavings of whatever may happen to a job.
//!
//! [`Model`] plays everything outside of the coordinator: processes, the store, the driver, users.
//! It takes random steps, holds the coordinator to its invariants after each, and in the end looks
//! at what is left in the store.

mod model;

use std::time::Duration;

use proptest::prelude::*;
use tidegate_checkpoint::coordinator::{
    AfterSavepoint, CoordinatorConfig, EndStatus, RetentionPolicy, Wish,
};
use tidegate_snapshot::manifest::SnapshotForm;

use crate::model::{Model, Start, Step};

fn config() -> impl Strategy<Value = CoordinatorConfig> {
    let interval = prop_oneof![1 => Just(None), 6 => (50..400_u64).prop_map(Some)];
    let min_pause = prop_oneof![3 => Just(0), 1 => 1..200_u64];
    let retention = prop_oneof![
        Just(RetentionPolicy::NoExternalizedCheckpoints),
        Just(RetentionPolicy::RetainOnCancellation),
        Just(RetentionPolicy::DeleteOnCancellation),
    ];
    let counts = (1..5_u32, 0..4_u32, 1..4_u32);
    (interval, 100..1500_u64, min_pause, counts, retention, any::<bool>()).prop_map(
        |(interval, timeout, min_pause, counts, retention, checkpoints_after_tasks_finish)| {
            let (max_concurrent, tolerable_failed, num_retained) = counts;
            CoordinatorConfig {
                interval: interval.map(Duration::from_millis),
                timeout: Duration::from_millis(timeout),
                min_pause: Duration::from_millis(min_pause),
                max_concurrent,
                tolerable_failed,
                retention,
                num_retained,
                checkpoints_after_tasks_finish,
            }
        },
    )
}

fn wish() -> impl Strategy<Value = Wish> {
    let then = prop_oneof![
        6 => Just(AfterSavepoint::GoOn),
        2 => any::<bool>().prop_map(|drain| AfterSavepoint::Stop { drain }),
        1 => Just(AfterSavepoint::Cancel),
    ];
    let savepoint = |then| Wish::Savepoint { target: None, form: SnapshotForm::Native, then };
    prop_oneof![5 => then.prop_map(savepoint), 1 => Just(Wish::Checkpoint)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (1..250_u64).prop_map(Step::Advance),
        40 => (0..64_usize).prop_map(Step::Acknowledge),
        3 => (0..64_usize).prop_map(Step::Decline),
        3 => (0..64_usize).prop_map(Step::SpeakFromAnEarlierAttempt),
        20 => (0..64_usize).prop_map(Step::ManifestIsWritten),
        2 => (0..64_usize).prop_map(Step::ManifestIsNotWritten),
        1 => (0..64_usize).prop_map(Step::ManifestIsSomebodyElses),
        3 => (0..64_usize, any::<bool>())
            .prop_map(|(pick, happened)| Step::ManifestIsInDoubt { pick, happened }),
        5 => (0..64_usize).prop_map(Step::Check),
        4 => wish().prop_map(Step::Request),
        2 => (0..64_usize).prop_map(Step::InputsEnd),
        1 => (0..64_usize).prop_map(Step::SubtaskEnds),
        8 => (0..64_usize).prop_map(Step::Commit),
        3 => (0..64_usize).prop_map(Step::Close),
        1 => (0..64_usize).prop_map(Step::Fail),
        1 => (1..4_u32).prop_map(Step::Restart),
        1 => Just(Step::Cancel),
    ]
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        2 => Just(Start::Fresh),
        1 => Just(Start::Claimed),
        1 => Just(Start::NotClaimed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_invariants_hold_whatever_happens(
        config in config(),
        start in start(),
        processes in 1..4_u32,
        steps in prop::collection::vec(step(), 0..400),
        end in prop_oneof![
            Just(EndStatus::Canceled),
            Just(EndStatus::Failed),
            Just(EndStatus::Suspended),
        ],
    ) {
        let mut model = Model::new(config, start, processes);
        for step in steps {
            if model.has_ended() {
                break;
            }
            model.take(step);
        }
        model.wind_up(end);
        model.check_leftovers();
    }
}
