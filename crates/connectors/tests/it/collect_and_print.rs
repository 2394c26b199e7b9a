//! Sinks without files.

use tidegate_connectors::{
    collect::Collector,
    discard::discard,
    print::{Print, Target, print},
};
use tidegate_core::sink::{sink_operator, two_phase_operator};

use crate::harness::{Attempt, SinkJob};

#[test]
fn collecting_as_records_come() {
    let collector = Collector::<u32>::default();
    let mut job =
        SinkJob::start(&Attempt::new(2, &[]), |context| sink_operator(&collector.sink(), context));
    job.write(&[1_u32, 2, 3]).unwrap();
    assert_eq!(collector.take(), [1, 2, 3]);
    assert!(collector.is_empty());
}

#[test]
fn collecting_exactly_once() {
    let collector = Collector::<u32>::default();
    let start = |attempt: &Attempt| {
        SinkJob::start(attempt, |context| {
            two_phase_operator(collector.exactly_once_sink(), context)
        })
    };
    let mut job = start(&Attempt::new(2, &[]));
    job.write(&[1_u32, 2, 3]).unwrap();
    let first = job.snapshot(1).unwrap();
    assert!(collector.is_empty(), "nothing is visible before the commit");
    job.complete(1).unwrap();
    assert_eq!(collector.len(), 3);
    job.write(&[4_u32]).unwrap();
    drop(job);
    start(&Attempt::new(1, &first)).recover().unwrap();
    let mut records = collector.take();
    records.sort_unstable();
    assert_eq!(records, [1, 2, 3], "committed twice, there once, and 4 was not committed");
}

#[test]
fn discarding() {
    let mut job =
        SinkJob::start(&Attempt::new(1, &[]), |context| sink_operator(&discard::<u32>(), context));
    job.write(&[1_u32, 2, 3]).unwrap();
    job.flush().unwrap();
}

#[test]
fn printing() {
    for sink in
        [print::<String>(), print().to_stderr(), Print::new(Target::Stdout, |_: &String, _| Ok(()))]
    {
        let mut job =
            SinkJob::start(&Attempt::new(2, &[]), |context| sink_operator(&sink, context));
        job.write(&["one".to_owned(), "two".to_owned()]).unwrap();
        job.flush().unwrap();
    }
}

#[test]
fn a_record_that_can_t_be_shown_fails() {
    let sink = Print::new(Target::Stdout, |_: &u8, _| Err(std::fmt::Error));
    let mut job = SinkJob::start(&Attempt::new(1, &[]), |context| sink_operator(&sink, context));
    assert!(job.write(&[1_u8]).is_err());
}
