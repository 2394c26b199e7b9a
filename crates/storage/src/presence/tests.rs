use super::*;
use crate::log::{Rank, RunToken};

fn run(token: u64) -> Run {
    Run { token: RunToken(token), rank: None, name: format!("host {token}") }
}

fn quick() -> PresenceOptions {
    let (period, silence) = (Duration::from_millis(5), Duration::from_millis(60));
    PresenceOptions { period, silence, take_over: false }
}

/// Whoever goes on has another reason than that.
fn never_silent() -> PresenceOptions {
    PresenceOptions { silence: Duration::from_secs(3600), ..quick() }
}

fn alive(result: Result<Presence, PresenceError>) -> String {
    match result {
        Err(PresenceError::Alive { by }) => by,
        other => panic!("it is alive: {other:?}"),
    }
}

fn local() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::open(&folder.path().display().to_string()).expect("it opens");
    (folder, place)
}

/// As a run of another machine finds the lock of one of this.
fn forget_kernel(folder: &tempfile::TempDir) {
    let path = folder.path().join("lock");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let name = text.lines().next().expect("it is named").to_owned();
    std::fs::write(&path, format!("{name}\nanother kernel\n")).expect("the test's own");
}

#[tokio::test]
async fn on_a_local_disk_the_kernel_tells_who_lives() {
    let (_folder, place) = local();
    let claim = |token, take_over| {
        let (place, options) = (place.clone(), PresenceOptions { take_over, ..never_silent() });
        async move { Presence::claim(&place, &run(token), options).await }
    };
    assert_eq!(holder(&place), None);
    let first = claim(1, false).await.expect("nobody is there");
    assert_eq!(holder(&place).as_deref(), Some("host 1"));
    assert_eq!(alive(claim(2, false).await), "host 1");
    let second = claim(2, true).await.expect("it takes over");
    first.leave(true).await;
    // As soon as the first is gone, the second holds the lock.
    while holder(&place).as_deref() != Some("host 2") {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(alive(claim(3, false).await), "host 2");
    // As its process would have been ended, without a word.
    drop(second);
    while claim(4, false).await.is_err() {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_lock_of_another_machine_tells_nothing_and_signs_of_life_do() {
    let (folder, place) = local();
    let claim = |token, options| {
        let place = place.clone();
        async move { Presence::claim(&place, &run(token), options).await }
    };
    let Presence { lock, signs, .. } = claim(1, quick()).await.expect("nobody is there");
    drop(lock);
    forget_kernel(&folder);
    assert_eq!(alive(claim(2, never_silent()).await), "host 1");
    assert_eq!(alive(claim(2, never_silent()).await), "host 1", "who was refused is no holder");
    drop(signs);
    // A sign may have been on its way.
    let second = Presence::claim_in_turn(&place, &run(2), quick()).await.expect("it is silent");
    second.leave(false).await;
    forget_kernel(&folder);
    claim(3, never_silent()).await.expect("nobody has to wait for who has left");
}

#[tokio::test]
async fn who_waits_for_its_turn_gets_it_when_the_other_has_gone() {
    let (_folder, place) = local();
    let first = Presence::claim(&place, &run(1), quick()).await.expect("nobody is there");
    let (second_run, options) = (run(2), never_silent());
    let waiting = Presence::claim_in_turn(&place, &second_run, options);
    tokio::pin!(waiting);
    let too_early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(too_early.is_err(), "another one is alive");
    first.leave(false).await;
    let _second = waiting.await.expect("the store answers");
    assert_eq!(holder(&place).as_deref(), Some("host 2"));
}

#[tokio::test]
async fn jobmanagers_of_one_sequence_do_not_wait_for_each_other_and_those_of_two_do() {
    let (folder, place) = local();
    let claim = |token, sequence| {
        let rank = Some(Rank { sequence, epoch: token });
        let (place, run) = (place.clone(), Run { rank, ..run(token) });
        async move { Presence::claim(&place, &run, never_silent()).await }
    };
    let first = claim(1, 7).await.expect("nobody is there");
    assert_eq!(alive(claim(2, 8).await), "host 1");
    let second = claim(3, 7).await.expect("the next one of the same");
    first.leave(true).await;
    while holder(&place).as_deref() != Some("host 3") {
        sleep(Duration::from_millis(10)).await;
    }
    // By signs of life too.
    let Presence { lock, signs: _signs, .. } = second;
    drop(lock);
    while holder(&place).is_some() {
        sleep(Duration::from_millis(1)).await;
    }
    forget_kernel(&folder);
    assert_eq!(alive(claim(4, 8).await), "host 3");
    claim(5, 7).await.expect("the next one of the same");
}

#[tokio::test]
async fn who_holds_the_lock_and_stands_still_is_not_waited_for_for_ever() {
    let (_folder, place) = local();
    let options = PresenceOptions { silence: Duration::from_secs(2), ..quick() };
    let first = Presence::claim(&place, &run(1), options).await.expect("nobody is there");
    let second = run(2);
    let waiting = Presence::claim_in_turn(&place, &second, options);
    tokio::pin!(waiting);
    let too_early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(too_early.is_err(), "it leaves signs of life");
    // As a process that is stopped: the kernel keeps its lock, and nothing more comes from it.
    let Presence { lock: _lock, signs, .. } = first;
    drop(signs);
    let _second = waiting.await.expect("it is silent");
    let third = Presence::claim(&place, &run(3), never_silent()).await;
    assert_eq!(alive(third), "host 1", "whoever does not wait is refused by the lock");
}

/// Who is seen to live, and whether it is about to end.
async fn seen(place: &Place) -> Option<(String, bool)> {
    let living = living(place, quick()).await.expect("the store answers");
    living.map(|living| (living.by, living.is_ending))
}

fn host(number: u64) -> Option<(String, bool)> {
    Some((format!("host {number}"), false))
}

#[tokio::test]
async fn who_lives_is_told_to_who_wants_nothing_and_nobody_is_kept_out_by_that() {
    let (folder, place) = local();
    assert_eq!(seen(&place).await, None, "nobody has ever been there");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("it is there").count(),
        0,
        "nothing is made"
    );
    let first = Presence::claim(&place, &run(1), quick()).await.expect("nobody is there");
    assert_eq!(seen(&place).await, host(1));
    // As from another machine, which sees no lock.
    let Presence { lock, signs, .. } = first;
    drop(lock);
    forget_kernel(&folder);
    assert_eq!(seen(&place).await, host(1));
    drop(signs);
    // One may have been on its way.
    let _ = seen(&place).await;
    assert_eq!(seen(&place).await, None, "its signs are there, and no new one comes");
    // While many look, whoever comes gets in.
    let path = folder.path().to_owned();
    let looking = std::thread::spawn(move || {
        let place = Place::open(&path.display().to_string()).expect("it opens");
        for _ in 0..500 {
            let _ = holder(&place);
            // Nobody looks without end: who does has the lock for as long as it looks.
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    for token in 2..40 {
        let claimed = Presence::claim(&place, &run(token), quick()).await;
        claimed.expect("nobody lives").leave(false).await;
    }
    looking.join().expect("it does not panic");
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_left_a_sign_nobody_is_waited_for() {
    let (_folder, place) = local();
    let begun = Instant::now();
    let living = living(&place, PresenceOptions::default()).await.expect("the store answers");
    assert_eq!((living, begun.elapsed()), (None, Duration::ZERO));
}

#[tokio::test]
async fn in_memory_too_it_is_told_who_lives() {
    let place = Place::open("memory://presence-tests/run").expect("it opens");
    assert_eq!(seen(&place).await, None);
    let first = Presence::claim(&place, &run(1), quick()).await.expect("nobody is kept out");
    let mut second = Presence::claim(&place, &run(2), quick()).await.expect("nobody is kept out");
    assert_eq!(seen(&place).await, host(2));
    second.say_ending();
    assert_eq!(seen(&place).await, Some(("host 2".to_owned(), true)));
    drop(second);
    assert_eq!(seen(&place).await, host(1));
    first.leave(false).await;
    assert_eq!(seen(&place).await, None);
}

#[tokio::test]
async fn who_is_about_to_end_says_so_and_whoever_comes_next_is_not_taken_for_it() {
    let (folder, place) = local();
    let mut first = Presence::claim(&place, &run(1), quick()).await.expect("nobody is there");
    first.say_ending();
    while seen(&place).await != Some(("host 1".to_owned(), true)) {
        sleep(Duration::from_millis(1)).await;
    }
    // As its process would have been ended, without a word.
    drop(first);
    assert_eq!(seen(&place).await, None);
    let mut second = Presence::claim(&place, &run(2), quick()).await.expect("nobody is there");
    assert_eq!(seen(&place).await, host(2));
    second.say_ending();
    second.leave(true).await;
    assert!(!folder.path().join(ENDING).exists());
}
