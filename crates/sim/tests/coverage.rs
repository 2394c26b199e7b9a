//! Every fault hits every operation: the short form of the command `coverage`, which asks for a thousand of
//! each.

use tidegate_sim::shipped::{Activity, Aim, Coverage, Fault, Setup, play};

/// How many seeds each pair is aimed at by at most.
const SEEDS: u64 = 12;

/// Plays what aims at these operations until each fault has hit each of them.
fn is_hit(activities: &[Activity]) {
    let mut coverage = Coverage::default();
    for activity in activities {
        for fault in Fault::ALL {
            let aim = Some(Aim { fault, activity: *activity });
            for seed in 0..SEEDS {
                if coverage.met(fault, *activity) > 0 {
                    break;
                }
                let played = play(seed, &Setup { aim, ..Setup::default() });
                let played = played.unwrap_or_else(|failed| panic!("{failed}"));
                coverage.add(&played.coverage);
            }
            assert!(coverage.met(fault, *activity) > 0, "{fault} x {activity}\n{coverage}");
        }
    }
}

#[test]
fn every_fault_hits_snapshots() {
    is_hit(&[Activity::Checkpoint, Activity::Savepoint]);
}

#[test]
fn every_fault_hits_the_ends_of_a_job() {
    use Activity::{Cancel, CancelWithSavepoint, Drain, Stop};
    is_hit(&[Stop, Drain, Cancel, CancelWithSavepoint]);
}

#[test]
fn every_fault_hits_starts() {
    use Activity::{Claim, Rescale, Restore, Submit, TakeOver};
    is_hit(&[Submit, Restore, Rescale, Claim, TakeOver]);
}

#[test]
fn every_fault_hits_deletions() {
    is_hit(&[Activity::Dispose, Activity::Sweep]);
}
