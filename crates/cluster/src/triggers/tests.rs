use proptest::prelude::*;
use tidegate_storage::log::RecordedKind;

use super::*;

const LOCATION: &str = "/savepoints/savepoint-abcdef-000000000001";

fn taken(what: What) -> Taken {
    let (trigger, location) = ("savepoint-7-1".to_owned(), Some(LOCATION.to_owned()));
    Taken { what, trigger, epoch: 3, location, form: None, behind: Some(CheckpointId(4)) }
}

fn recorded(id: u64, trigger: Option<&str>) -> Recorded {
    Recorded {
        checkpoint: CheckpointId(id),
        location: trigger.map_or_else(|| format!("/chk-{id}"), |_| LOCATION.to_owned()),
        kind: RecordedKind::Checkpoint,
        attempt: None,
        trigger: trigger.map(str::to_owned),
        ends: None,
    }
}

fn reason(standing: &Standing) -> &str {
    match standing {
        Standing::Done(Outcome::Failed(reason)) => reason,
        other => panic!("it has not failed: {other:?}"),
    }
}

/// INV-TRUE
#[test]
fn what_the_log_knows_is_complete_and_nothing_else() {
    let log = [recorded(5, Some("savepoint-7-1")), recorded(4, None)];
    let complete = Standing::Done(Outcome::Completed(LOCATION.to_owned()));
    for what in [What::Savepoint, What::Checkpoint] {
        assert_eq!(by_the_log(&taken(what), &log), complete);
        // An earlier request of that id is another one.
        for other in [&[][..], &[recorded(5, Some("savepoint-7-2")), recorded(4, None)]] {
            let standing = by_the_log(&taken(what), other);
            assert!(reason(&standing).ends_with("trigger it again"), "{standing:?}");
        }
    }
}

#[test]
fn a_stop_is_answered_when_the_job_has_ended() {
    let log = [recorded(5, Some("savepoint-7-1"))];
    let standing = by_the_log(&taken(What::Stop), &log);
    assert_eq!(standing, Standing::Ending(LOCATION.to_owned()));
    assert_eq!(stopped(LOCATION.to_owned(), true), Outcome::Completed(LOCATION.to_owned()));
    let Outcome::Failed(reason) = stopped(LOCATION.to_owned(), false) else {
        panic!("its sinks have not committed")
    };
    assert!(reason.contains(LOCATION), "{reason}");
}

#[test]
fn who_asks_while_the_job_is_being_taken_over_waits() {
    let open = Facts { own: 4, is_open: true, ..Facts::default() };
    assert_eq!(unanswered(&taken(What::Savepoint), open), Standing::Open);
    assert_eq!(unanswered(&taken(What::Stop), open), Standing::Open);
}

#[test]
fn what_comes_when_the_job_is_anothers_has_failed() {
    let facts = Facts { own: 4, runs: true, ..Facts::default() };
    let standing = unanswered(&taken(What::Savepoint), facts);
    assert!(reason(&standing).ends_with("trigger it again"), "{standing:?}");
}

#[test]
fn where_nobody_has_noted_it_the_answer_says_so_and_where_it_would_be() {
    for facts in [Facts { own: 4, ..Facts::default() }, Facts { own: 3, ..Facts::default() }] {
        let standing = unanswered(&taken(What::Stop), facts);
        let reason = reason(&standing);
        assert!(reason.contains("nobody has noted") && reason.contains(LOCATION), "{reason}");
    }
}

#[test]
fn a_disposal_is_judged_by_what_is_there() {
    let facts = |is_there| Facts { own: 4, is_there, ..Facts::default() };
    let standing = unanswered(&taken(What::Disposal), facts(true));
    assert!(reason(&standing).ends_with("trigger it again"), "{standing:?}");
    let gone = unanswered(&taken(What::Disposal), facts(false));
    assert_eq!(gone, Standing::Done(Outcome::Completed(LOCATION.to_owned())));
}

#[test]
fn a_manifest_goes_only_if_the_log_reaches_back_to_before_it() {
    let taken = taken(What::Savepoint);
    assert!(was_never_recorded(&taken, &[recorded(6, None), recorded(4, None)]));
    assert!(!was_never_recorded(&taken, &[recorded(104, None), recorded(5, None)]), "forgotten");
    let known = [recorded(5, Some("another")), recorded(4, None)];
    assert!(!was_never_recorded(&taken, &known), "it is complete");
    let first = Taken { behind: None, ..taken };
    assert!(!was_never_recorded(&first, &[recorded(6, None)]), "nobody knows");
}

proptest! {
    #[test]
    fn a_name_tells_the_request(id in "[0-9a-f]{32}", number: [u8; 16], of_a_job: bool) {
        let kinds: &[Kind] =
            if of_a_job { &[Kind::Savepoint, Kind::Checkpoint] } else { &[Kind::Disposal] };
        for kind in kinds {
            let job = of_a_job.then_some(JobId(number));
            let key = TriggerKey { kind: *kind, job, id: id.clone() };
            prop_assert_eq!(TriggerKey::named(job, &key.name()), Some(key.clone()));
            prop_assert_eq!(TriggerKey::named(job, &format!("{}.result", key.name())), None);
        }
    }
}
