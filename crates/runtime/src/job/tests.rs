use std::collections::BTreeMap;

use tidegate_snapshot::manifest::{
    FORMAT, FORMAT_VERSION, JobInfo, Manifest, SnapshotForm, SnapshotKind,
};
use tidegate_types::{AttemptId, Timestamp};

use super::*;

#[tokio::test]
async fn a_snapshot_that_a_job_holds_is_not_disposed_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chk-1").display().to_string();
    let job = JobId::from_name("a job");
    let name = "a job".to_owned();
    let places = Places::default();
    let location = SnapshotLocation::find(&places, &path).expect("an address");
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Checkpoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: job, name: name.clone(), folder: None },
        checkpoint: CheckpointId(1),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    location.commit(&manifest).await.expect("committed");
    let held = HeldSnapshot { job, name, location: Some(path.clone()) };
    let any = HeldSnapshot { location: None, ..held.clone() };
    let texts = [path.clone(), format!("file:{path}/"), format!("{path}/_metadata")];
    for text in &texts {
        for held in [&held, &any] {
            let error = dispose_savepoint(&places, text, std::slice::from_ref(held))
                .await
                .expect_err("held");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(&job.to_string()), "{error}");
            assert!(location.exists().await.expect("answers"));
        }
    }
    let others = HeldSnapshot { job: JobId::from_name("another"), ..any };
    let other = HeldSnapshot { location: Some(format!("{path}0")), ..held };
    dispose_savepoint(&places, &texts[1], &[other, others]).await.expect("nobody holds it");
    assert!(!std::path::Path::new(&path).exists());
    let error = dispose_savepoint(&places, &path, &[]).await.expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
