//! The example `flights`, changed: cancelled flights are not written any more, and flights are counted
//! per day, too. What it has in common with the example has the same uids.

use std::{path::Path, process::ExitCode};

use serde::{Deserialize, Serialize};
use tidegate::{files, prelude::*};
use tidegate_examples::{argument, job, output_folder, prepare, rate};

/// As in the example.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flight {
    month: u8,
    day: u8,
    dep_time: Option<u16>,
    arr_delay: Option<i32>,
    carrier: String,
    flight: u32,
}

/// As in the example.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Totals {
    flights: u64,
    cancelled: u64,
    arrived: u64,
    delay: i64,
    worst_delay: Option<i32>,
}

/// As in the example.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Summary {
    carrier: String,
    month: u8,
    flights: u64,
    cancelled: u64,
    mean_delay: Option<f64>,
    worst_delay: Option<i32>,
}

struct Summarize {
    totals: ValueState<Totals>,
}

impl KeyedProcess<(String, u8), Flight> for Summarize {
    type Out = Summary;

    fn on_record(
        &mut self,
        flight: Flight,
        context: &mut ProcessContext<'_, (String, u8), Summary>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime::MAX);
        self.totals.modify_or(Totals::default, |totals| {
            totals.flights += 1;
            totals.cancelled += u64::from(flight.dep_time.is_none());
            totals.arrived += u64::from(flight.arr_delay.is_some());
            totals.delay += i64::from(flight.arr_delay.unwrap_or_default());
            totals.worst_delay = totals.worst_delay.max(flight.arr_delay);
        });
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, (String, u8), Summary>,
    ) -> tidegate::Result<()> {
        let Some(Totals { flights, cancelled, arrived, delay, worst_delay }) = self.totals.take()
        else {
            return Ok(());
        };
        let (carrier, month) = context.key().clone();
        let mean_delay = (arrived > 0).then(|| delay as f64 / arrived as f64);
        context.emit(Summary { carrier, month, flights, cancelled, mean_delay, worst_delay });
        Ok(())
    }
}

/// Counts what comes, and tells how much it was at the end.
struct Count {
    count: ValueState<u64>,
}

impl KeyedProcess<(u8, u8), Flight> for Count {
    type Out = ((u8, u8), u64);

    fn on_record(
        &mut self,
        _flight: Flight,
        context: &mut ProcessContext<'_, (u8, u8), Self::Out>,
    ) -> tidegate::Result<()> {
        context.set_event_timer(EventTime::MAX);
        self.count.modify_or(|| 0, |count| *count += 1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, (u8, u8), Self::Out>,
    ) -> tidegate::Result<()> {
        if let Some(count) = self.count.take() {
            context.emit((*context.key(), count));
        }
        Ok(())
    }
}

fn build(env: &Env, output: &Path) -> tidegate::Result<()> {
    let data = argument(env.args(), "--data").ok_or("--data is missing")?;
    let mut source = files::csv::<Flight>(data).null_literal("NA");
    if let Some(rate) = rate(env.args())? {
        source = source.rate(rate);
    }
    let flights = env.source("flights", source);
    flights
        .key_by(|flight: &Flight| (flight.carrier.clone(), flight.month))
        .process("by-carrier-and-month", |states| Ok(Summarize { totals: states.value("totals")? }))
        .sink("summary", files::json_lines_sink(output.join("summary")));
    flights
        .key_by(|flight: &Flight| (flight.month, flight.day))
        .process("by-day", |states| Ok(Count { count: states.value("count")? }))
        .sink("days", files::json_lines_sink(output.join("days")));
    Ok(())
}

fn main() -> ExitCode {
    let output = output_folder(&Job::own_arguments(), "flights");
    let job = job("flights", &output);
    if let Err(error) = prepare(&job, &["--data", "--rate", "--out"], &output, &[]) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    job.run_and(move |env| build(env, &output), |_| Ok(()))
}
