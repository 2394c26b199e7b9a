use tidegate_types::EventTime;

use super::*;

/// Writes as it is told to.
struct Writer(fn(&mut Batch<u64>) -> Readiness);

impl SinkWriter for Writer {
    type Item = u64;

    fn write(&mut self, batch: &mut Batch<u64>) -> UserResult<Readiness> {
        Ok((self.0)(batch))
    }
}

/// What comes of three records with event times.
fn written(write: fn(&mut Batch<u64>) -> Readiness) -> Result<Readiness, String> {
    let mut inbox = Inbox::new(Writer(write));
    let times = Some(vec![EventTime(1), EventTime(2), EventTime(3)]);
    let batch = Batch { records: vec![1_u64, 2, 3], times };
    let offered = inbox.offer(Box::new(batch)).and_then(|()| inbox.poll_written());
    offered.map_err(|error| {
        assert_eq!(ErrorKind::marked(error.as_ref()), Some(ErrorKind::Invalid));
        error.to_string()
    })
}

#[test]
fn a_writer_may_take_some_at_a_time_or_nothing_yet() {
    assert_eq!(
        written(|batch| {
            batch.take_front(1);
            Readiness::Ready
        }),
        Ok(Readiness::Ready)
    );
    assert_eq!(written(|_| Readiness::Pending), Ok(Readiness::Pending));
}

#[test]
fn a_writer_that_is_ready_and_takes_nothing_is_refused() {
    let expected = "the writer answered Ready and left 3 of 3 records: one that can't take more \
                    has to answer Pending or RetryAfter";
    assert_eq!(written(|_| Readiness::Ready), Err(expected.to_owned()));
}

#[test]
fn a_writer_that_leaves_more_than_it_was_handed_is_refused() {
    let said = written(|batch| {
        batch.push_at(4, Some(EventTime(4)));
        Readiness::Pending
    });
    assert_eq!(said, Err("the writer was handed 3 records, and left 4".to_owned()));
}

#[test]
fn a_writer_that_takes_records_without_their_event_times_is_refused() {
    let said = written(|batch| {
        batch.records.remove(0);
        Readiness::Pending
    });
    let expected = "the writer took records without their event times, and left 2 records with 3 \
                    event times: in a batch either all records have one, or none";
    assert_eq!(said, Err(expected.to_owned()));
}
