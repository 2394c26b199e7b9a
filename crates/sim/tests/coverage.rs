//! Every fault hits one operation of each kind: the short form of the command `coverage`, which asks for all
//! operations, and for each pair a thousand times.

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
fn every_fault_hits_savepoints() {
    is_hit(&[Activity::Savepoint]);
}

#[test]
fn every_fault_hits_stops() {
    is_hit(&[Activity::Stop]);
}

#[test]
fn every_fault_hits_restores() {
    is_hit(&[Activity::Restore]);
}

#[test]
fn every_fault_hits_disposals() {
    is_hit(&[Activity::Dispose]);
}
