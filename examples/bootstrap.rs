//! State for a job that has never run: the totals of flights per carrier and month, computed from a
//! CSV file without a job, become the starting state of the example `flights`.
//!
//! ```text
//!   cargo run --example bootstrap
//!   cargo run --example flights -- --from-savepoint out/bootstrap/savepoint
//! ```

use std::{collections::BTreeMap, fs::File, process::ExitCode};

use serde::{Deserialize, Serialize};
use tidegate::{EventTime, Result, savepoint::SavepointWriter};
use tidegate_examples::{argument, data};

/// The columns that are needed; others are left out.
#[derive(Deserialize)]
struct Flight {
    month: u8,
    // `NA`, if it was cancelled.
    #[serde(deserialize_with = "csv::invalid_option")]
    dep_time: Option<u16>,
    #[serde(deserialize_with = "csv::invalid_option")]
    arr_delay: Option<i32>,
    carrier: String,
}

/// What the job keeps per carrier and month: as there, field by field.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Totals {
    flights: u64,
    cancelled: u64,
    arrived: u64,
    delay: i64,
    worst_delay: Option<i32>,
}

impl Totals {
    fn add(&mut self, flight: &Flight) {
        self.flights += 1;
        self.cancelled += u64::from(flight.dep_time.is_none());
        self.arrived += u64::from(flight.arr_delay.is_some());
        self.delay += i64::from(flight.arr_delay.unwrap_or_default());
        self.worst_delay = self.worst_delay.max(flight.arr_delay);
    }
}

#[expect(clippy::print_stdout, reason = "it says what to do with it")]
fn run() -> Result<()> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let data = argument(&arguments, "--data").unwrap_or_else(|| data("flights.csv.zst"));
    let target = argument(&arguments, "--to");
    let target = target.unwrap_or_else(|| "out/bootstrap/savepoint".to_owned());

    let mut all = BTreeMap::<(String, u8), Totals>::new();
    let text = zstd::Decoder::new(File::open(&data)?)?;
    for flight in csv::Reader::from_reader(text).deserialize() {
        let flight: Flight = flight?;
        all.entry((flight.carrier.clone(), flight.month)).or_default().add(&flight);
    }

    let mut writer = SavepointWriter::new("flights");
    // The job tells its sums when its input has ended: each key waits for that with a timer.
    let timers = all.keys().map(|key| (key.clone(), EventTime::MAX)).collect::<Vec<_>>();
    let count = all.len();
    writer.value_state("by-carrier-and-month", "totals", all)?;
    writer.event_timers("by-carrier-and-month", timers)?;
    writer.write(&target)?;
    println!("{count} totals lie in {target}; start from them with");
    println!("  cargo run --example flights -- --from-savepoint {target}");
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
