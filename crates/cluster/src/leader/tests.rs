use super::*;

const PERIOD: Duration = Duration::from_millis(20);

fn named(name: &str) -> LeaderOptions {
    LeaderOptions {
        name: name.to_owned(),
        retry_period: PERIOD,
        // Longer than any test: whoever goes on has another reason.
        lease_duration: Duration::from_secs(3600),
        take_over: false,
    }
}

async fn gain(place: &str, options: &LeaderOptions) -> Leadership {
    Leadership::gain(place, "/test", options).await.expect("the place is the test's own")
}

#[test]
fn silence_is_measured_by_what_changes() {
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    let mut sight = Sight::new(begun);
    let mut silence = |epoch, sign, seconds| sight.silence(epoch, sign, at(seconds)).as_secs();
    assert_eq!(silence(4, None, 10), 0, "whatever was before, it is seen for the first time");
    assert_eq!(silence(4, None, 13), 3);
    assert_eq!(silence(4, Some("a"), 14), 0);
    assert_eq!(silence(4, Some("a"), 28), 14);
    assert_eq!(silence(4, Some("b"), 29), 0);
    assert_eq!(silence(5, Some("b"), 40), 0, "another one leads");
    assert_eq!(silence(5, Some("b"), 55), 15);
    sight.blind(at(60));
    assert_eq!(sight.silence(5, Some("b"), at(62)).as_secs(), 2, "it may have spoken meanwhile");
}

/// Whether the seat is free, if what was seen last was seen a day ago.
async fn is_free_a_day_later(seat: &Seat, sight: &mut Sight) -> bool {
    let day = Duration::from_secs(24 * 3600);
    sight.since = sight.since.checked_sub(day).expect("the clock did not start yesterday");
    let verdict = seat.look(sight, Duration::from_secs(15), false).await.expect("it answers");
    matches!(verdict, Verdict::Free(..))
}

#[tokio::test]
async fn who_leads_is_seen_alive_by_its_signs_and_counts_as_dead_without() {
    let (local, _folder) = tempfile();
    for place in ["memory://leader-waits", &local] {
        let first = gain(place, &named("first")).await;
        let (seat, mut sight) = (first.seat.clone(), Sight::new(Instant::now()));
        assert!(!is_free_a_day_later(&seat, &mut sight).await, "it is seen for the first time");
        for number in 1..5 {
            first.leave_sign(number).await.expect("it answers");
            assert!(!is_free_a_day_later(&seat, &mut sight).await, "sign {number} is new");
        }
        // It stands still, and its lock is its own.
        assert!(is_free_a_day_later(&seat, &mut sight).await);
    }
}

#[tokio::test]
async fn who_was_taken_over_from_says_by_whom() {
    let first = gain("memory://leader-over", &named("first")).await;
    let options = LeaderOptions { lease_duration: PERIOD, ..named("second") };
    let second = gain("memory://leader-over", &options).await;
    assert_eq!(second.epoch, 2);
    assert_eq!(
        first.keep().await.to_string(),
        "another JobManager has taken over: second, in epoch 2; this was epoch 1"
    );
}

fn tempfile() -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (folder.path().join("ha").display().to_string(), folder)
}

#[tokio::test]
async fn who_has_ended_in_order_is_not_waited_for() {
    let first = gain("memory://leader-ended", &named("first")).await;
    first.leave_sign(7).await.expect("it answers");
    first.end().await.expect("it answers");
    assert_eq!(gain("memory://leader-ended", &named("second")).await.epoch, 2);
}

#[tokio::test]
async fn on_a_local_disk_a_process_that_is_gone_is_not_waited_for() {
    let (place, _folder) = tempfile();
    let first = gain(&place, &named("first")).await;
    first.leave_sign(1).await.expect("it answers");
    // As its process would have been ended, without a word.
    drop(first);
    let second = gain(&place, &named("second")).await;
    assert_eq!(second.epoch, 2);
    assert_eq!(second.seat.signs().names().await.expect("it answers"), <[String; 0]>::default());
}

#[tokio::test]
async fn whoever_is_told_to_takes_over_at_once() {
    let first = gain("memory://leader-take-over", &named("first")).await;
    let options = LeaderOptions { take_over: true, ..named("second") };
    let second = gain("memory://leader-take-over", &options).await;
    assert!(matches!(first.check().await, Err(LeaderError::TakenOver { epoch: 2, .. })));
    second.check().await.expect("it is the newest");
}

#[tokio::test]
async fn of_many_candidates_one_gets_each_epoch() {
    let candidates = (0..8).map(|number| async move {
        let options = LeaderOptions { take_over: true, ..named(&number.to_string()) };
        gain("memory://leader-many", &options).await.epoch
    });
    let mut epochs = futures::future::join_all(candidates).await;
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=8).collect::<Vec<_>>());
}

#[test]
fn only_disks_of_this_machine_have_locks() {
    let folder = |text| local_folder(text).map(|path| path.display().to_string());
    assert_eq!(folder("/a/b"), Some("/a/b".to_owned()));
    assert_eq!(folder("file:///a/b"), Some("/a/b".to_owned()));
    assert_eq!(folder("file:/a/b"), Some("/a/b".to_owned()));
    assert_eq!(folder("a/b"), Some("a/b".to_owned()));
    assert_eq!(folder("s3://bucket/b"), None);
    assert_eq!(folder("memory://b"), None);
}
