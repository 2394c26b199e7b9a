use std::{
    future::Future,
    pin::Pin,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures::{FutureExt, executor::block_on};
use proptest::prelude::*;

use super::*;

use crate::faults::{Fault, FaultyStore, Operation};

mod concluded;

fn place(name: &str) -> Place {
    Place::open(&format!("memory://{name}")).expect("opens")
}

fn run(token: u64) -> Run {
    Run { token: RunToken(token), rank: None, name: format!("host {token}") }
}

fn checkpoint(id: u64) -> Recorded {
    recorded(id, RecordedKind::Checkpoint)
}

fn recorded(id: u64, kind: RecordedKind) -> Recorded {
    let (checkpoint, location) = (CheckpointId(id), format!("/chk-{id}"));
    Recorded { checkpoint, location, kind, attempt: None, trigger: None, ends: None }
}

fn ids(snapshots: &[Recorded]) -> Vec<u64> {
    snapshots.iter().map(|snapshot| snapshot.checkpoint.get()).collect()
}

/// A place whose operations fail as `decide` says.
fn faulty(place: &Place, decide: impl Fn(Operation<'_>) -> Fault + Send + Sync + 'static) -> Place {
    place.decorated(|inner| Arc::new(FaultyStore::new(inner, Arc::new(decide))))
}

/// Fails the next operation that `wanted` fits, once it is armed.
fn armed(
    wanted: fn(Operation<'_>) -> bool,
    fault: Fault,
) -> (Arc<StdMutex<bool>>, impl Fn(Operation<'_>) -> Fault + Send + Sync + 'static) {
    let armed = Arc::new(StdMutex::new(false));
    let shared = Arc::clone(&armed);
    (armed, move |operation| {
        let mut armed = shared.lock().expect("not poisoned");
        if *armed && wanted(operation) {
            *armed = false;
            return fault;
        }
        Fault::None
    })
}

#[tokio::test]
async fn the_next_run_is_told_what_is_complete() {
    let place = place("log-told");
    let (log, before) = take_over(&place, run(1)).await.expect("taken");
    assert_eq!(before, []);
    for id in 1..=3 * KEPT {
        let completion = log.append(checkpoint(id)).await.expect("the only one");
        assert_eq!(completion.recorded(), &checkpoint(id));
    }
    let again = log.append(checkpoint(3 * KEPT)).await.expect("harmless");
    assert_eq!(again.number(), 3 * KEPT + 1);
    let (log, before) = take_over(&place, run(2)).await.expect("taken");
    assert_eq!(before[0], checkpoint(3 * KEPT));
    assert!(before.len() as u64 <= KEPT + 1, "old entries are deleted");
    assert_eq!(log.superseded(), &BTreeSet::from([RunToken(1)]));
    assert!(before.starts_with(&read(&place).await.expect("reads")));
}

#[tokio::test]
async fn a_log_of_take_overs_alone_has_an_end_and_tells_who_was_last() {
    let place = place("log-take-overs");
    let mut last = None;
    for token in 1..=10 {
        let (log, _) = take_over_keeping(&place, run(token), false, 3).await.expect("taken");
        log.forget_take_overs().await;
        assert_eq!(log.taken_over(), token);
        log.check().await.expect("it is the newest");
        if let Some(before) = last.replace(log) {
            let refused = before.check().await.expect_err("another one has come");
            let by = format!("host {token} ");
            assert!(
                matches!(&refused, LogError::Fenced { by: b } if b.starts_with(&by)),
                "{refused}"
            );
        }
    }
    assert_eq!(place.records("").names().await.expect("lists").len(), 3);
}

#[tokio::test]
async fn inv_newest_the_highest_id_comes_first_whatever_was_appended_last() {
    let place = place("log-highest");
    let (log, _) = take_over(&place, run(1)).await.expect("taken");
    for id in [1, 4, 2, 3] {
        log.append(checkpoint(id)).await.expect("the only one");
    }
    let (_, before) = take_over(&place, run(2)).await.expect("taken");
    assert_eq!(ids(&before), [4, 3, 2, 1]);
}

#[tokio::test]
async fn what_a_job_goes_on_from_is_kept_however_many_savepoints_follow() {
    let place = place("log-savepoints");
    let (log, _) = take_over_keeping(&place, run(1), false, 3).await.expect("taken");
    for id in [2, 1] {
        log.append(checkpoint(id)).await.expect("the only one");
    }
    for id in 3..20 {
        log.append(recorded(id, RecordedKind::Savepoint)).await.expect("the only one");
    }
    let (log, before) = take_over_keeping(&place, run(2), false, 3).await.expect("taken");
    assert_eq!(before.iter().find(|snapshot| snapshot.is_needed()), Some(&checkpoint(2)));
    for id in 20..30 {
        log.append(recorded(id, RecordedKind::FinalSavepoint)).await.expect("the only one");
    }
    assert!(read(&place).await.expect("reads").len() <= 3, "old entries are deleted");
}

#[tokio::test]
async fn inv_held_what_a_savepoint_holds_is_known_until_it_is_committed_however_long_that_takes() {
    let place = place("log-held");
    let of = |id, kind, attempt| Recorded { attempt: Some(attempt), ..recorded(id, kind) };
    let chk = |id, attempt| of(id, RecordedKind::Checkpoint, attempt);
    let held = async |log: &JobLog| log.held().await.into_iter().collect::<Vec<_>>();
    let (log, _) = take_over_keeping(&place, run(1), false, 3).await.expect("taken");
    log.append(of(2, RecordedKind::Savepoint, 0x11)).await.expect("the only one");
    assert_eq!(held(&log).await, [0x11]);
    // One that was under way before commits nothing of it, and neither does another attempt.
    log.append(chk(1, 0x11)).await.expect("the only one");
    for id in 3..20 {
        log.append(chk(id, 0x12)).await.expect("the only one");
    }
    log.append(of(20, RecordedKind::Savepoint, 0x12)).await.expect("the only one");
    assert_eq!(held(&log).await, [0x11, 0x12]);
    log.append(chk(21, 0x12)).await.expect("the only one");
    let before = held(&log).await;
    assert_eq!(before, [0x11]);
    // The next runs know it, though the entry of the savepoint is long gone, and those of the runs
    // that have completed something too.
    for token in 2..=9 {
        let (log, _) = take_over_keeping(&place, run(token), false, 3).await.expect("taken");
        assert_eq!(held(&log).await, before);
    }
    let (log, _) = take_over_keeping(&place, run(10), false, 3).await.expect("taken");
    assert_eq!(held(&log).await, before);
    assert!(log.with_savepoints().is_empty());
    log.restored(Some((CheckpointId(2), "/elsewhere/chk-2"))).await;
    log.append(chk(22, 0x21)).await.expect("the only one");
    assert_eq!(held(&log).await, before, "it was restored from another one");
    log.restored(Some((CheckpointId(2), "file:///chk-2"))).await;
    log.append(chk(23, 0x22)).await.expect("the only one");
    assert_eq!(held(&log).await, [0; 0]);
    log.append(of(24, RecordedKind::FinalSavepoint, 0x22)).await.expect("the only one");
    assert_eq!(held(&log).await, [0x22]);
}

#[tokio::test]
async fn inv_held_what_a_savepoint_held_that_was_disposed_of_is_let_go_of_by_the_next_attempt() {
    let place = place("log-disposed");
    let of = |id, kind, attempt| Recorded { attempt: Some(attempt), ..recorded(id, kind) };
    let held = async |log: &JobLog| log.held().await.into_iter().collect::<Vec<_>>();
    let notes = async || place.records("disposed").names().await.expect("lists").len();
    let (log, _) = take_over(&place, run(1)).await.expect("taken");
    for (id, attempt) in [(1, 0x11), (2, 0x12), (3, 0x12)] {
        log.append(of(id, RecordedKind::Savepoint, attempt)).await.expect("the only one");
    }
    let disposed =
        async |id: u64, at: &str| dispose(&place, CheckpointId(id), at).await.expect("it answers");
    // Of another one that lies elsewhere, and of none at all, there is nothing to say.
    assert!(!disposed(1, "/elsewhere/chk-1").await && !disposed(7, "/chk-7").await);
    assert!(disposed(1, "file:///chk-1").await && disposed(2, "/chk-2").await);
    assert_eq!(held(&log).await, [0x11, 0x12], "the running attempt was told otherwise");
    log.let_go_of_disposed().await.expect("it answers");
    assert_eq!(held(&log).await, [0x12], "another savepoint holds that");
    // No entry says so yet: the next run has to find it out too.
    let (log, _) = take_over(&place, run(2)).await.expect("taken");
    assert_eq!((held(&log).await.len(), notes().await), (2, 2));
    log.let_go_of_disposed().await.expect("it answers");
    assert_eq!(held(&log).await, [0x12]);
    log.append(of(4, RecordedKind::Checkpoint, 0x21)).await.expect("the only one");
    let (log, _) = take_over(&place, run(3)).await.expect("taken");
    assert_eq!(held(&log).await, [0x12]);
    log.let_go_of_disposed().await.expect("it answers");
    assert_eq!(notes().await, 0, "what is written in an entry needs no note");
    assert!(disposed(3, "/chk-3").await);
    log.forget().await.expect("it answers");
    assert_eq!(notes().await, 0);
}

#[tokio::test]
async fn a_job_that_began_as_a_fork_is_one_whenever_it_begins_from_there() {
    let place = place("log-forks");
    let is_fork = async |id, location: &str| {
        super::is_fork(&place, CheckpointId(id), location).await.expect("it answers")
    };
    let (log, _) = take_over(&place, run(1)).await.expect("nobody has it");
    assert!(!is_fork(7, "/a/sp-7").await);
    log.note_fork(CheckpointId(7), "/a/sp-7").await.expect("it answers");
    log.note_fork(CheckpointId(7), "/a/sp-7").await.expect("doing so twice is harmless");
    let (next, recorded) = take_over(&place, run(2)).await.expect("it takes over");
    assert!(recorded.is_empty() && is_fork(7, "file:///a/sp-7").await);
    assert!(!is_fork(7, "/b/sp-7").await && !is_fork(8, "/a/sp-7").await);
    next.note_fork(CheckpointId(7), "/b/sp-7").await.expect("it answers");
    assert!(is_fork(7, "/b/sp-7").await && !is_fork(7, "/a/sp-7").await);
    next.forget().await.expect("it answers");
    assert!(!is_fork(7, "/b/sp-7").await, "the job is gone, and what it was");
}

#[tokio::test]
async fn inv_order_who_was_taken_over_from_completes_nothing_more() {
    let place = place("log-fenced");
    let (old, _) = take_over_keeping(&place, run(1), false, 3).await.expect("taken");
    old.append(checkpoint(1)).await.expect("the only one");
    let (new, before) = take_over_keeping(&place, run(2), false, 3).await.expect("taken");
    assert_eq!(ids(&before), [1]);
    let refused = old.append(checkpoint(2)).await.expect_err("taken over");
    assert!(matches!(&refused, LogError::Fenced { by } if by.contains("host 2")), "{refused}");
    for id in 2..30 {
        new.append(checkpoint(id)).await.expect("its own");
    }
    // INV-STALE: by now the number that it would take next has been deleted.
    let refused = old.append(checkpoint(1000)).await.expect_err("taken over");
    assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
    let (_, before) = take_over(&place, run(3)).await.expect("taken");
    assert_eq!(before[0], checkpoint(29), "what the old run has written counts for nothing");
}

#[tokio::test]
async fn an_entry_in_front_of_the_oldest_that_counts_is_none() {
    let place = place("log-in-front");
    let (zombie, _) = take_over_keeping(&place, run(1), false, 2).await.expect("taken");
    take_over_keeping(&place, run(2), false, 2).await.expect("taken");
    let (new, _) = take_over_keeping(&place, run(3), false, 2).await.expect("taken");
    new.append(checkpoint(1)).await.expect("its own");
    // Run 2's entry is deleted, and that of run 3 in front of its completion is the oldest.
    let names = place.records("").names().await.expect("lists");
    assert_eq!(names.first(), Some(&Entry::name(3)));
    // As the zombie writes it before it looks.
    let stale = Entry::completed(zombie.run(), checkpoint(1000), Vec::new()).to_json();
    assert!(place.records("").create(&Entry::name(2), stale).await.expect("written"));
    assert_eq!(ids(&read(&place).await.expect("reads")), [1]);
}

#[tokio::test]
async fn a_log_that_was_deleted_fences_too() {
    let place = place("log-deleted");
    let (log, _) = take_over(&place, run(1)).await.expect("taken");
    let records = place.records("");
    for name in records.names().await.expect("lists") {
        records.remove(&name).await.expect("removed");
    }
    let refused = log.append(checkpoint(1)).await.expect_err("its log is gone");
    assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
    assert_eq!(read(&place).await.expect("reads"), []);
}

#[tokio::test]
async fn nobody_takes_over_from_a_later_jobmanager_of_its_own_sequence() {
    let place = place("log-rank");
    let of = |sequence, epoch| Run { rank: Some(Rank { sequence, epoch }), ..run(epoch) };
    take_over(&place, of(7, 2)).await.expect("taken");
    let refused = take_over(&place, of(7, 1)).await.expect_err("a later one is there");
    assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
    take_over(&place, of(7, 2)).await.expect("the same");
    take_over(&place, of(7, 3)).await.expect("a later one");
    take_over(&place, of(8, 1)).await.expect("of another sequence");
    take_over(&place, run(9)).await.expect("of none");
    let refused = take_over(&place, of(7, 1)).await.expect_err("a later one is there");
    assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
}

#[tokio::test]
async fn ones_own_entry_is_ones_own_whatever_failed_behind_it() {
    let is_put = |operation: Operation<'_>| matches!(operation, Operation::Put(_));
    let is_list = |operation: Operation<'_>| matches!(operation, Operation::List(_));
    for (name, wanted, fault) in [
        ("list", is_list as fn(Operation<'_>) -> bool, Fault::Before),
        ("put", is_put, Fault::After),
        ("lost", is_put, Fault::Before),
    ] {
        let place = place(&format!("log-own-{name}"));
        let (arm, decide) = armed(wanted, fault);
        let place = faulty(&place, decide);
        let (log, _) = take_over(&place, run(1)).await.expect("taken");
        *arm.lock().expect("not poisoned") = true;
        let doubt = log.append(checkpoint(1)).await.expect_err("no answer");
        assert!(matches!(doubt, LogError::Unavailable(_)), "{doubt}");
        // Another one comes first, whose number may be taken by the first.
        log.append(checkpoint(2)).await.expect("its own");
        log.append(checkpoint(1)).await.expect("its own");
        let complete = read(&place).await.expect("reads");
        assert_eq!(ids(&complete), [2, 1], "{name}");
    }
}

#[tokio::test]
async fn a_take_over_without_an_answer_may_be_tried_again() {
    let place = place("log-again");
    let (arm, decide) = armed(|operation| matches!(operation, Operation::Put(_)), Fault::After);
    let faulty = faulty(&place, decide);
    *arm.lock().expect("not poisoned") = true;
    let doubt = take_over(&faulty, run(1)).await.expect_err("no answer");
    assert!(matches!(doubt, LogError::Unavailable(_)), "{doubt}");
    let (log, _) = take_over(&faulty, run(1)).await.expect("its own");
    assert!(log.superseded().is_empty());
    assert_eq!(place.records("").names().await.expect("lists").len(), 1, "there is one entry");
    log.append(checkpoint(1)).await.expect("its own");
}

#[tokio::test]
async fn a_damaged_entry_names_itself() {
    let place = place("log-damaged");
    let (log, _) = take_over(&place, run(1)).await.expect("taken");
    log.append(checkpoint(1)).await.expect("the only one");
    let records = place.records("");
    let name = Entry::name(3);
    records.create(&name, "{".into()).await.expect("written");
    let error = take_over(&place, run(2)).await.expect_err("damaged");
    assert!(error.to_string().contains(&format!("log-damaged/{name}")), "{error}");
    // One that counts for nothing harms nobody.
    records.remove(&name).await.expect("removed");
    records.create(&Entry::name(0), "{".into()).await.expect("written");
    records.remove(&Entry::name(1)).await.expect("removed");
    take_over(&place, run(2)).await.expect("taken");
}

#[test]
fn an_entry_of_an_earlier_version_is_read() {
    let old = r#"{"epoch":3,"snapshot":{"checkpoint":7,"location":"/chk-7"}}"#;
    let entry = serde_json::from_str::<Entry>(old).expect("it is one");
    assert!(entry.by().contains("epoch 3"));
    assert_eq!(entry.into_snapshot(), Some(checkpoint(7)));
    let new = Entry::completed(&run(0xab), recorded(7, RecordedKind::FinalSavepoint), Vec::new());
    let text = String::from_utf8(new.to_json().to_vec()).expect("text");
    assert_eq!(
        text,
        r#"{"run":"00000000000000ab","rank":0,"name":"host 171","behind":"00000000000000ab","completed":{"checkpoint":7,"location":"/chk-7","kind":"final-savepoint"}}"#
    );
}

// Many runs at once, step by step, over a store that fails.

/// Lets others go first, once.
fn yielded() -> impl Future<Output = ()> {
    let mut first = true;
    std::future::poll_fn(move |context| {
        context.waker().wake_by_ref();
        if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
    })
}

/// What runs have been told.
#[derive(Default)]
struct Told {
    /// Number, run, what it was told to be complete.
    taken: Vec<(u64, u64, Vec<Recorded>)>,
    /// Number, run, id.
    completed: Vec<(u64, u64, u64)>,
}

/// A run takes the job over and completes snapshots until it is fenced or has had enough; now and
/// then it is paused in between, as others are scheduled.
async fn live(place: Place, token: u64, kept: u64, snapshots: u64, told: Arc<StdMutex<Told>>) {
    let taken = loop {
        match take_over_keeping(&place, run(token), false, kept).await {
            Ok(taken) => break taken,
            Err(LogError::Unavailable(_)) => {}
            Err(error) => panic!("run {token}: {error}"),
        }
    };
    let (log, before) = taken;
    let last = log.end.lock().await.last;
    let highest = before.first().map_or(0, |snapshot| snapshot.checkpoint.get());
    told.lock().expect("not poisoned").taken.push((last, token, before));
    for id in highest + 1..=highest + snapshots {
        // Its location says whose it is.
        let snapshot = Recorded { location: format!("/{token}/chk-{id}"), ..checkpoint(id) };
        loop {
            match log.append(snapshot.clone()).await {
                Ok(completion) => {
                    let mut told = told.lock().expect("not poisoned");
                    told.completed.push((completion.number(), token, id));
                    break;
                }
                Err(LogError::Unavailable(_)) => {}
                Err(LogError::Fenced { .. }) => return,
                Err(error) => panic!("run {token}: {error}"),
            }
        }
    }
}

/// Plays the runs, each step of one of them as `choices` say, then all to their ends.
fn play(place: &Place, runs: u64, kept: u64, choices: &[(usize, u8)]) -> Told {
    let told = Arc::new(StdMutex::new(Told::default()));
    let faults = Arc::new(StdMutex::new(choices.iter().map(|(_, f)| *f).collect::<Vec<_>>()));
    let decide = move |_: Operation<'_>| match faults.lock().expect("not poisoned").pop() {
        Some(0) => Fault::Before,
        Some(1) => Fault::After,
        _ => Fault::None,
    };
    let place = place.decorated(|inner| {
        let store = FaultyStore::new(inner, Arc::new(decide));
        Arc::new(store.holding(Arc::new(|| yielded().boxed())))
    });
    let mut all: Vec<Pin<Box<dyn Future<Output = ()>>>> = (1..=runs)
        .map(|token| Box::pin(live(place.clone(), token, kept, 6, Arc::clone(&told))) as _)
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    // Bounded: nobody may be kept from its end for ever.
    let rest = (0..100_000).map(|step| (step, 9));
    for (choice, _) in choices.iter().copied().chain(rest) {
        if all.is_empty() {
            break;
        }
        let chosen = choice % all.len();
        if all[chosen].as_mut().poll(&mut context).is_ready() {
            drop(all.remove(chosen));
        }
    }
    assert!(all.is_empty(), "{} runs come to no end", all.len());
    std::mem::take(&mut *told.lock().expect("not poisoned"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However the steps of many runs mix, and whatever fails in between: who was taken over from
    /// is told of no completion behind the take-over, and whoever takes over goes on from the
    /// newest completion that anybody in front was told of.
    #[test]
    fn one_run_at_a_time_completes(
        runs in 2..5_u64,
        kept in prop::sample::select(vec![2_u64, 3, KEPT]),
        choices in prop::collection::vec((0..16_usize, 0..12_u8), 0..400),
    ) {
        // A store of its own for each case.
        static CASES: AtomicU64 = AtomicU64::new(0);
        let place = place(&format!("log-mixed-{}", CASES.fetch_add(1, Ordering::Relaxed)));
        let told = play(&place, runs, kept, &choices);
        let mut numbers = BTreeSet::new();
        for (number, run, id) in &told.completed {
            prop_assert!(numbers.insert(*number), "{number} is given twice");
            let own = told.taken.iter().filter(|(_, other, _)| other == run);
            let taken = own.map(|(taken, ..)| *taken).max();
            prop_assert!(taken < Some(*number));
            for (other, by, before) in &told.taken {
                let between = taken < Some(*other) && other < number;
                prop_assert!(!between, "{run} completes {id} at {number} behind run {by} at {other}");
                let newest = before.first().map_or(0, |snapshot| snapshot.checkpoint.get());
                prop_assert!(number > other || newest >= *id, "{id} is lost for run {by}");
            }
        }
        // What is there in the end is what they were told, but for answers that were lost.
        let end = block_on(read(&place)).expect("reads");
        let newest = told.completed.iter().map(|(_, _, id)| *id).max();
        prop_assert!(newest <= end.first().map(|snapshot| snapshot.checkpoint.get()));
        for (taken, run, before) in &told.taken {
            for snapshot in before {
                let is_own = snapshot.location.starts_with(&format!("/{run}/"));
                prop_assert!(!is_own, "run {run} at {taken} finds itself");
            }
        }
    }
}

#[tokio::test]
async fn what_is_called_like_no_entry_is_none() {
    let place = place("log-strangers");
    let (log, _) = take_over(&place, run(1)).await.expect("taken");
    log.append(checkpoint(1)).await.expect("the only one");
    let records = place.records("");
    let (last, before) = (u64::MAX.to_string(), (u64::MAX - 1).to_string());
    for name in ["3", "+4", "000000000000000000005", "notes.txt", &last, &before] {
        assert!(records.create(name, Bytes::from_static(b"{}")).await.expect("answers"), "{name}");
    }
    assert_eq!(ids(&read(&place).await.expect("readable")), [1]);
    let (log, before) = take_over(&place, run(2)).await.expect("taken");
    assert_eq!(ids(&before), [1]);
    log.append(checkpoint(2)).await.expect("the only one");
    assert_eq!(ids(&read(&place).await.expect("readable")), [2, 1]);
}
