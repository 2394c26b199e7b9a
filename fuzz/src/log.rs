//! A job's log: records of any name and content in its folder.
//!
//! Names and contents alternate, parted by a byte of `0xff`; a name that is empty is the next
//! number. The first byte says who takes the job over.

use std::{cell::RefCell, sync::Arc};

use bytes::Bytes;
use object_store::memory::InMemory;
use tidegate_storage::{
    Place,
    log::{self, LogError, Rank, Recorded, RecordedKind, Run, RunToken},
};
use tidegate_types::CheckpointId;
use tokio::runtime::{Builder, Runtime};

use crate::Target;

/// The target.
pub const TARGET: Target = Target { name: "log", feed, seeds, room: 16 << 20 };

const PARTED: u8 = 0xff;
const RANKED: u8 = 1;

thread_local! {
    static TOKIO: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().build().expect("a runtime"));
}

fn run(token: u64, epoch: Option<u64>) -> Run {
    let rank = epoch.map(|epoch| Rank { sequence: 7, epoch });
    Run { token: RunToken(token), rank, name: "the fuzzer".to_owned() }
}

fn recorded(id: u64, kind: RecordedKind) -> Recorded {
    let location = format!("memory://fuzz/chk-{id}");
    let (attempt, trigger, ends) = (Some(id), None, None);
    Recorded { checkpoint: CheckpointId(id), location, kind, attempt, trigger, ends }
}

/// A folder in a store of its own.
fn folder() -> Place {
    let place = Place::open("memory://fuzz").expect("it is an address");
    place.decorated(|_| Arc::new(InMemory::new()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    TOKIO.with(|tokio| tokio.borrow().block_on(future))
}

/// Logs as they are written: two runs after another, snapshots of all kinds.
fn seeds() -> Vec<Vec<u8>> {
    [None, Some(3)].map(|epoch| block_on(written(epoch))).to_vec()
}

async fn written(epoch: Option<u64>) -> Vec<u8> {
    let folder = folder();
    for token in [0x10_0000, 0x20_0000] {
        let (log, _) = log::take_over(&folder, run(token, epoch)).await.expect("nobody else does");
        for (id, kind) in
            [RecordedKind::Checkpoint, RecordedKind::Savepoint].into_iter().enumerate()
        {
            let recorded = recorded(token + id as u64, kind);
            log.append(recorded).await.expect("nobody else does");
        }
    }
    let records = folder.records("");
    let mut seed = vec![if epoch.is_some() { RANKED } else { 0 }];
    for name in records.names().await.expect("it is in memory") {
        let content = records.read(&name).await.expect("it is in memory").expect("it is listed");
        seed.extend([name.as_bytes(), &[PARTED], &content, &[PARTED]].concat());
    }
    seed
}

fn feed(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else { return };
    let epoch = (first & RANKED != 0).then_some(u64::from(first >> 1));
    block_on(async {
        let folder = folder();
        fill(&folder, rest).await;
        let before = log::read(&folder).await;
        match log::take_over(&folder, run(0x30_0000, epoch)).await {
            Ok((log, complete)) => {
                assert_eq!(complete, before.expect("who takes it over has read it"));
                // Behind the highest number nothing can be completed.
                if log.taken_over() <= u64::MAX / 2 {
                    goes_on(&folder, &log, &complete).await;
                }
            }
            Err(LogError::Damaged { .. }) => assert!(before.is_err(), "it was read before"),
            Err(LogError::Fenced { .. }) => assert!(epoch.is_some(), "nobody is above"),
            Err(LogError::Unavailable(error)) => panic!("it is in memory: {error}"),
        }
    });
}

async fn fill(folder: &Place, input: &[u8]) {
    let records = folder.records("");
    let mut parts = input.split(|byte| *byte == PARTED);
    let mut number = 0;
    while let (Some(name), Some(content)) = (parts.next(), parts.next()) {
        number += 1;
        let name = match std::str::from_utf8(name) {
            Ok("") => format!("{number:020}"),
            Ok(name) if !name.contains('/') => name.to_owned(),
            _ => continue,
        };
        let content = Bytes::copy_from_slice(content);
        records.create(&name, content).await.expect("it is in memory");
    }
}

/// Whoever has taken a job over can complete snapshots, and all that was complete stays so.
async fn goes_on(folder: &Place, log: &log::JobLog, before: &[Recorded]) {
    let newest = before.first().map_or(0, |newest| newest.checkpoint.0);
    let next = recorded(newest.saturating_add(1), RecordedKind::Checkpoint);
    let completion = log.append(next.clone()).await.expect("nobody else does");
    assert_eq!(completion.recorded(), &next);
    log.check().await.expect("nobody else does");
    let after = log::read(folder).await.expect("it was read before");
    assert!(after.contains(&next), "what is complete is in the log");
    assert!(before.iter().all(|recorded| after.contains(recorded)), "what was complete stays so");
}
