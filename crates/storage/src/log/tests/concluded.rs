//! A job that has ended and left nothing to go on from.

use super::*;

#[tokio::test]
async fn what_has_ended_leaves_nothing_to_go_on_from_and_says_how() {
    let place = place("log-concluded");
    let (log, _) = take_over(&place, run(0)).await.expect("taken");
    log.append(checkpoint(7)).await.expect("the only one");
    let (log, _) = begin(&place, run(1)).await.expect("taken");
    log.append(checkpoint(8)).await.expect("the only one");
    assert_eq!(concluded(&place).await.expect("reads"), None);
    for _ in 0..2 {
        log.conclude(Concluded::Finished).await.expect("twice is harmless");
    }
    assert_eq!(newest(&place).await.expect("reads"), 5, "it is said once");
    assert_eq!(concluded(&place).await.expect("reads"), Some(Concluded::Finished));
    assert_eq!(read(&place).await.expect("reads"), []);
    let (log, before) = take_over(&place, run(2)).await.expect("taken");
    assert_eq!(before, []);
    assert_eq!(log.concluded_since(0), Some(Concluded::Finished));
    assert_eq!(log.concluded_since(5), None, "that was an earlier job");
    assert_eq!(log.outlived(), &BTreeSet::from([CheckpointId(8)]), "the other was kept");
    let still = concluded(&place).await.expect("reads");
    assert_eq!(still, Some(Concluded::Finished), "who merely looks changes nothing");
}

#[tokio::test]
async fn what_has_begun_anew_has_not_ended() {
    let place = place("log-anew");
    let (log, _) = begin(&place, run(1)).await.expect("taken");
    log.append(checkpoint(7)).await.expect("the only one");
    log.conclude(Concluded::Canceled).await.expect("the only one");
    let (log, before) = begin(&place, run(2)).await.expect("taken");
    assert_eq!((before.len(), log.outlived().len()), (0, 1), "its checkpoint may be there still");
    assert_eq!(concluded(&place).await.expect("reads"), None);
    let (log, before) = take_over(&place, run(3)).await.expect("taken");
    assert_eq!((before.len(), log.outlived().len()), (0, 0), "ids of before may be its own by now");
    log.append(checkpoint(8)).await.expect("the only one");
    assert_eq!(ids(&read(&place).await.expect("reads")), [8]);
}

#[tokio::test]
async fn who_was_taken_over_from_ends_nothing() {
    let place = place("log-no-end");
    let (old, _) = take_over(&place, run(1)).await.expect("taken");
    old.append(checkpoint(1)).await.expect("the only one");
    let (_, before) = take_over(&place, run(2)).await.expect("taken");
    let refused = old.conclude(Concluded::Finished).await.expect_err("it is another's");
    assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
    assert_eq!(read(&place).await.expect("reads"), before);
}

#[tokio::test]
async fn an_end_that_got_no_answer_is_found_again() {
    let place = place("log-unsure");
    let (log, _) = take_over(&place, run(1)).await.expect("taken");
    log.append(checkpoint(1)).await.expect("the only one");
    let unsure = Arc::new(StdMutex::new(true));
    let decide = move |operation: Operation<'_>| match operation {
        Operation::Put(_) if std::mem::take(&mut *unsure.lock().expect("not poisoned")) => {
            Fault::After
        }
        _ => Fault::None,
    };
    let faulty = place.decorated(|inner| Arc::new(FaultyStore::new(inner, Arc::new(decide))));
    let log = JobLog { records: faulty.records(""), ..log };
    let unknown = log.conclude(Concluded::Finished).await.expect_err("nobody knows");
    assert!(matches!(unknown, LogError::Unavailable(_)), "{unknown}");
    log.conclude(Concluded::Finished).await.expect("it is there");
    assert_eq!(newest(&place).await.expect("reads"), 3, "it is said once");
}
