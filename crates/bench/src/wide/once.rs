//! A source of one record, which then says nothing and does not end.

use serde::{Deserialize, Serialize};
use tidegate::{
    Parallelism, SubtaskIndex,
    connector::{
        Batch, ReaderContext, ReaderStatus, Source, SourceReader, Split, source::Discovery,
    },
};

use crate::keyed_sum::Record;

pub(super) struct Once;

/// The one record, and whether it has been read.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct TheRecord {
    read: bool,
}

impl Split for TheRecord {
    fn id(&self) -> String {
        "the-record".to_owned()
    }

    fn is_finished(&self) -> bool {
        false
    }
}

impl Source for Once {
    type Item = Record;
    type Split = TheRecord;
    type Reader = Reader;

    fn discovery(&self) -> Discovery<TheRecord> {
        Box::new(|| Box::pin(std::future::ready(Ok(vec![TheRecord { read: false }]))))
    }

    fn assign(&self, _split: &TheRecord, _parallelism: Parallelism) -> SubtaskIndex {
        SubtaskIndex(0)
    }

    fn reader(&self, _context: ReaderContext) -> tidegate::Result<Reader> {
        Ok(Reader(Vec::new()))
    }
}

pub(super) struct Reader(Vec<TheRecord>);

impl SourceReader for Reader {
    type Item = Record;
    type Split = TheRecord;

    fn add_splits(&mut self, splits: Vec<TheRecord>) -> tidegate::Result<()> {
        self.0.extend(splits);
        Ok(())
    }

    fn poll_batch(
        &mut self,
        _: usize,
        batch: &mut Batch<Record>,
    ) -> tidegate::Result<ReaderStatus> {
        for split in &mut self.0 {
            if !std::mem::replace(&mut split.read, true) {
                batch.push((0, 0));
            }
        }
        // Nobody calls a waker: there is never more.
        Ok(ReaderStatus::Pending)
    }

    fn snapshot(&self) -> Vec<TheRecord> {
        self.0.clone()
    }
}
