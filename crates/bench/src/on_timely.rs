//! The same work as `keyed-sum`, written directly on Timely as one of its users would: batches of
//! vectors, an exchange by the key's hash, a hash map per worker, a probe that bounds what is under
//! way.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hashbrown::HashMap;
use timely::{
    Config,
    dataflow::{
        InputHandle, ProbeHandle,
        channels::pact::Exchange,
        operators::{Input, Probe, generic::operator::Operator},
    },
};

use crate::keyed_sum::{Record, record};

/// Records per batch, and batches that may be under way per worker.
const BATCH: u64 = 1024;
const UNDER_WAY: u64 = 16;

/// Runs it, or this process's part of it, and returns the seconds from start to end.
pub(crate) fn keyed_sum(records: u64, keys: u64, config: Config) -> Result<f64> {
    let guards = timely::execute(config, move |worker| {
        let start = Instant::now();
        let (index, peers) = (worker.index() as u64, worker.peers() as u64);
        let mut input =
            InputHandle::<u64, timely::container::CapacityContainerBuilder<Vec<Record>>>::new();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let by_key = Exchange::new(|record: &Record| spread(record.0));
            scope
                .input_from(&mut input)
                .unary(by_key, "sum", |_, _| {
                    let mut sums: HashMap<u64, u64> = HashMap::new();
                    move |input, output| {
                        input.for_each(|time, batch: &mut Vec<Record>| {
                            let mut session = output.session(&time);
                            session.give_iterator(batch.drain(..).map(|(key, number)| {
                                let sum = sums.entry(key).or_insert(0);
                                *sum = sum.wrapping_add(number);
                                (key, *sum)
                            }));
                        });
                    }
                })
                .container::<Vec<Record>>()
                .probe_with(&probe);
        });
        let (from, to) = (records * index / peers, records * (index + 1) / peers);
        let mut buffer = Vec::with_capacity(BATCH as usize);
        for (round, begin) in (from..to).step_by(BATCH as usize).enumerate() {
            let end = (begin + BATCH).min(to);
            buffer.extend((begin..end).map(|index| record(index, keys)));
            input.send_batch(&mut buffer);
            let round = round as u64 + 1;
            input.advance_to(round);
            worker.step();
            while probe.less_than(&round.saturating_sub(UNDER_WAY)) {
                worker.step_or_park(Some(Duration::from_millis(1)));
            }
        }
        input.close();
        while !probe.done() {
            worker.step_or_park(Some(Duration::from_millis(1)));
        }
        start.elapsed().as_secs_f64()
    })
    .map_err(|error| anyhow!(error))?;
    let mut longest = 0.0_f64;
    for seconds in guards.join() {
        longest = longest.max(seconds.map_err(|error| anyhow!(error))?);
    }
    Ok(longest)
}

/// Fibonacci hashing: the cheapest that spreads keys of any kind, and alike on every worker.
#[inline]
fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}
