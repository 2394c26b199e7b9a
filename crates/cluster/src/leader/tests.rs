use super::*;

const PERIOD: Duration = Duration::from_millis(20);
/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let gained = in_time(Leadership::gain(place, "/test", options)).await;
    gained.expect("the place is the test's own")
}

async fn in_time<T>(waited_for: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, waited_for).await.expect("it would wait for ever")
}

fn epoch(leadership: &Leadership) -> u64 {
    leadership.log.taken_over()
}

fn tempfile() -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (folder.path().join("ha").display().to_string(), folder)
}

#[tokio::test]
async fn who_was_taken_over_from_says_by_whom() {
    let (place, _folder) = tempfile();
    let first = gain(&place, &named("first")).await;
    let second = gain(&place, &LeaderOptions { take_over: true, ..named("second") }).await;
    assert_eq!(epoch(&second), 2);
    let told = first.keep().await.to_string();
    assert!(told.starts_with("another JobManager has taken over: second (run "), "{told}");
    assert!(told.ends_with("; this was epoch 1"), "{told}");
    second.check().await.expect("it is the newest");
}

#[tokio::test]
async fn who_leads_is_waited_for_until_it_has_ended() {
    let (place, _folder) = tempfile();
    let first = gain(&place, &named("first")).await;
    let options = named("second");
    let waiting = gain(&place, &options);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(5 * PERIOD, &mut waiting).await.is_err(), "the first one leads");
    first.check().await.expect("nobody has put it out of office");
    first.end().await;
    assert_eq!(epoch(&waiting.await), 2);
}

#[tokio::test]
async fn on_a_local_disk_a_process_that_is_gone_is_not_waited_for() {
    let (place, _folder) = tempfile();
    let first = gain(&place, &named("first")).await;
    // As its process would have been ended, without a word.
    drop(first);
    assert_eq!(epoch(&gain(&place, &named("second")).await), 2);
}

#[tokio::test]
async fn of_many_candidates_one_gets_each_epoch() {
    let candidates = (0..8).map(|number| async move {
        let options = LeaderOptions { take_over: true, ..named(&number.to_string()) };
        epoch(&gain("memory://leader-many", &options).await)
    });
    let mut epochs = futures::future::join_all(candidates).await;
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=8).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_earlier_versions_have_written_counts() {
    let (place, _folder) = tempfile();
    let leaders = Place::open(&place).expect("it opens").records("test/leader");
    let holder = r#"{"name":"an older one","kernel":null,"locked":true}"#;
    for (epoch, holder) in [(1, "{}"), (2, holder)] {
        assert!(leaders.create(&format!("{epoch:020}"), holder.into()).await.expect("written"));
    }
    assert_eq!(epoch(&gain(&place, &named("the next")).await), 3);
}

#[tokio::test]
async fn epochs_of_one_folder_are_of_one_sequence_and_those_of_another_are_not() {
    let ((place, _folder), (other, _other)) = (tempfile(), tempfile());
    let first = gain(&place, &named("first")).await.store().rank();
    let second = gain(&place, &named("second")).await.store().rank();
    assert_eq!((second.sequence, second.epoch), (first.sequence, 2));
    let record = std::path::Path::new(&place).join("test").join(SEQUENCE);
    std::fs::write(record, "no number").expect("the folder is the test's own");
    for rank in [gain(&place, &named("third")).await, gain(&other, &named("a stranger")).await] {
        assert_ne!(rank.store().rank().sequence, first.sequence);
    }
}
