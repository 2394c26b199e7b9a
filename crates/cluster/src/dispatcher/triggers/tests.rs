use std::sync::Arc;

use tidegate_runtime::Host;
use tidegate_types::options::OptionValues;

use super::*;
use crate::{
    artifacts::ArtifactStore,
    describe::SystemDescriber,
    dispatcher::{Beside, DispatcherOptions},
    ha::HaStore,
    leader::{LeaderOptions, Leadership},
    resources::{HeartbeatOptions, Resources},
    triggers::Kind,
};

const LATER: Duration = Duration::from_millis(50);

/// The dispatcher of a JobManager that takes over, and its store.
async fn lead(folder: &std::path::Path, storage: &str) -> (Dispatcher, HaStore) {
    let options = LeaderOptions {
        name: "test".to_owned(),
        retry_period: Duration::from_secs(5),
        lease_duration: Duration::from_secs(15),
        take_over: true,
    };
    let leadership = Leadership::gain(storage, "/default", &options).await.expect("memory answers");
    let artifacts = ArtifactStore::open(folder.join("artifacts")).expect("the test's own");
    let (interval, timeout) = (Duration::from_secs(1), Duration::from_secs(5));
    let (heartbeat, host) = (HeartbeatOptions { interval, timeout }, Host::system());
    let resources = Resources::new(artifacts.clone(), heartbeat, None, &host);
    let (folder, configuration) = (folder.to_owned(), OptionValues::default());
    let options = DispatcherOptions { folder, configuration };
    let ha = leadership.store();
    let (ha_of_it, describer) = (Some(ha.clone()), Arc::new(SystemDescriber));
    let beside = Beside { artifacts, resources, ha: ha_of_it, describer };
    let dispatcher = Dispatcher::new(options, beside, host);
    dispatcher.keep_results_for(LATER);
    (dispatcher, ha)
}

fn key(number: u8) -> TriggerKey {
    let (kind, job) = (Kind::Savepoint, Some(JobId::from_name("a")));
    TriggerKey { kind, job, id: format!("{number:032x}") }
}

fn taken(ha: &HaStore) -> Taken {
    let (what, trigger, epoch) = (What::Savepoint, "1".to_owned(), ha.epoch());
    Taken { what, trigger, epoch, location: None, form: None, behind: None }
}

async fn wait_until_forgotten(ha: &HaStore) {
    let forgotten = async {
        while !ha.triggers_of(key(1).job).await.expect("memory answers").is_empty() {
            tokio::time::sleep(LATER).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), forgotten).await.expect("they have an end");
}

fn done(text: &str) -> Outcome {
    Outcome::Completed(text.to_owned())
}

/// INV-TAKEN
#[tokio::test]
async fn a_request_is_recorded_once_and_its_result_by_who_leads() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, ha) = lead(folder.path(), "memory://triggers-once").await;
    assert!(ha.put_trigger(&key(1), &taken(&ha)).await.expect("memory answers"));
    let (second, next) = lead(folder.path(), "memory://triggers-once").await;
    let again = next.put_trigger(&key(1), &taken(&next)).await.expect("memory answers");
    assert!(!again, "it would be carried out twice");
    let late = ha.put_trigger(&key(2), &taken(&ha)).await.expect_err("it leads no more");
    assert!(matches!(late, HaError::Fenced { .. }), "{late}");
    // Nobody has looked yet what it has left.
    let standing = second.standing(&key(1)).await.expect("memory answers");
    assert_eq!(standing, Some(Standing::Open));
    first.note(key(1), Outcome::Failed("it was taken over from".to_owned())).await;
    assert_eq!(next.outcome(&key(1)).await.expect("memory answers"), None);
    next.put_outcome(&key(1), &done("/a")).await.expect("it leads");
    let standing = second.standing(&key(1)).await.expect("memory answers");
    assert_eq!(standing, Some(Standing::Done(done("/a"))));
    assert_eq!(second.standing(&key(3)).await.expect("memory answers"), None);
}

#[tokio::test]
async fn records_have_an_end_whoever_has_made_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, ha) = lead(folder.path(), "memory://triggers-end").await;
    ha.put_trigger(&key(1), &taken(&ha)).await.expect("memory answers");
    first.note(key(1), done("/a")).await;
    wait_until_forgotten(&ha).await;
    // One with a result and one without, of a job that is not there any more.
    ha.put_trigger(&key(1), &taken(&ha)).await.expect("memory answers");
    ha.put_outcome(&key(1), &done("/a")).await.expect("it leads");
    ha.put_trigger(&key(2), &taken(&ha)).await.expect("memory answers");
    let (second, next) = lead(folder.path(), "memory://triggers-end").await;
    second.inherit([]);
    let standing = second.standing(&key(2)).await.expect("memory answers");
    let Some(Standing::Done(Outcome::Failed(reason))) = standing else { panic!("{standing:?}") };
    assert!(reason.contains("nobody has noted"), "{reason}");
    wait_until_forgotten(&next).await;
    assert_eq!(next.outcome(&key(1)).await.expect("memory answers"), None);
}
