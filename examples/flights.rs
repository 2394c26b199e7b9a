//! Every flight that left New York's airports in 2013: per carrier and month how many there were,
//! how many were cancelled, and how late they arrived.
//!
//! ```text
//!   flights.csv.zst --> key by carrier and month --> summary, at the end of the input
//!                  \--> only those cancelled     --> as they pass
//! ```
//!
//! Both results are written exactly once: kill the job with `kill -9`, start it again with
//! `--from-savepoint latest`, and no flight is lost or counted twice.

use std::{path::Path, process::ExitCode};

use serde::{Deserialize, Serialize};
use tidegate::{files, prelude::*};
use tidegate_examples::{argument, data, job, output_folder, prepare, rate, read_results};

const NAMES: [&str; 3] = ["--data", "--rate", "--out"];
const HELP: &str = "  --data PATH  another file
  --rate N     flights per second, to watch it
  --out DIR    where results go (out/flights)";

/// The columns that are needed; others are left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flight {
    month: u8,
    day: u8,
    dep_time: Option<u16>,
    arr_delay: Option<i32>,
    carrier: String,
    flight: u32,
}

/// What is kept per carrier and month.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Totals {
    flights: u64,
    cancelled: u64,
    arrived: u64,
    delay: i64,
    worst_delay: Option<i32>,
}

/// What comes out per carrier and month.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Summary {
    carrier: String,
    month: u8,
    flights: u64,
    cancelled: u64,
    mean_delay: Option<f64>,
    worst_delay: Option<i32>,
}

/// Adds up, and tells the sums when the input has ended.
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
            if let Some(delay) = flight.arr_delay {
                totals.arrived += 1;
                totals.delay += i64::from(delay);
                totals.worst_delay = totals.worst_delay.max(Some(delay));
            }
        });
        Ok(())
    }

    fn on_timer(
        &mut self,
        _timer: Timer,
        context: &mut ProcessContext<'_, (String, u8), Summary>,
    ) -> tidegate::Result<()> {
        let Some(totals) = self.totals.take() else { return Ok(()) };
        let (carrier, month) = context.key().clone();
        let arrived = totals.arrived as f64;
        context.emit(Summary {
            carrier,
            month,
            flights: totals.flights,
            cancelled: totals.cancelled,
            mean_delay: (totals.arrived > 0).then(|| totals.delay as f64 / arrived),
            worst_delay: totals.worst_delay,
        });
        Ok(())
    }
}

fn build(env: &Env, output: &Path) -> tidegate::Result<()> {
    let data = argument(env.args(), "--data").unwrap_or_else(|| data("flights.csv.zst"));
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
        .filter(|flight| Ok(flight.dep_time.is_none()))
        .sink("cancelled", files::json_lines_sink(output.join("cancelled")));
    Ok(())
}

fn main() -> ExitCode {
    let output = output_folder(&Job::own_arguments(), "flights");
    let job = job("flights", &output).help(HELP);
    if let Err(error) = prepare(&job, &NAMES, &output, &["summary", "cancelled"]) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let results = output.clone();
    job.run_and(move |env| build(env, &output), |_| print_table(&results))
}

/// A line per carrier, and where all of it lies.
#[expect(clippy::print_stdout, reason = "the table is what the example is for")]
fn print_table(output: &Path) -> tidegate::Result<()> {
    let mut rows = read_results::<Summary>(&output.join("summary"))?;
    rows.sort_by(|a, b| (&a.carrier, a.month).cmp(&(&b.carrier, b.month)));
    println!("carrier  flights  cancelled  worst delay (min)");
    for months in rows.chunk_by(|a, b| a.carrier == b.carrier) {
        let flights = months.iter().map(|month| month.flights).sum::<u64>();
        let cancelled = months.iter().map(|month| month.cancelled).sum::<u64>();
        let worst = months.iter().filter_map(|month| month.worst_delay).max().unwrap_or_default();
        println!("{:<7}  {flights:>7}  {cancelled:>9}  {worst:>17}", months[0].carrier);
    }
    let all = rows.iter().map(|row| row.flights).sum::<u64>();
    println!("{all} flights; per carrier and month in {}", output.join("summary").display());
    Ok(())
}
