//! What the example `flights` must write: computed here without any engine, in one loop.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Into how many files the input is cut.
const FILES: usize = 8;

/// The columns that are needed, as the example writes those that were cancelled.
#[derive(Debug, Serialize, Deserialize)]
struct Flight {
    month: u8,
    day: u8,
    dep_time: Option<u16>,
    arr_delay: Option<i32>,
    carrier: String,
    flight: u32,
}

/// A result per carrier and month, as the example writes it.
#[derive(Debug, Serialize)]
struct Summary {
    carrier: String,
    month: u8,
    flights: u64,
    cancelled: u64,
    mean_delay: Option<f64>,
    worst_delay: Option<i32>,
}

/// All lines that the example must write, sorted.
#[derive(Debug, PartialEq)]
pub struct Results {
    /// One per carrier and month.
    pub summary: Vec<String>,
    /// One per flight that was cancelled.
    pub cancelled: Vec<String>,
}

impl Results {
    /// What a run has written.
    pub fn written_to(output: &Path) -> Self {
        let lines = |name| crate::folders::lines(&output.join(name));
        Self { summary: lines("summary"), cancelled: lines("cancelled") }
    }

    /// What must come of the whole of the data.
    pub fn expected() -> Self {
        let mut delays = BTreeMap::<(String, u8), Vec<Option<i32>>>::new();
        let mut cancelled = BTreeMap::<(String, u8), u64>::new();
        let mut lines = Vec::new();
        for flight in read() {
            let key = (flight.carrier.clone(), flight.month);
            delays.entry(key.clone()).or_default().push(flight.arr_delay);
            if flight.dep_time.is_none() {
                *cancelled.entry(key).or_default() += 1;
                lines.push(json(&flight));
            }
        }
        let summaries = delays.into_iter().map(|(key, delays)| {
            let cancelled = cancelled.get(&key).copied().unwrap_or_default();
            json(&summary(key, &delays, cancelled))
        });
        let mut results = Self { summary: summaries.collect(), cancelled: lines };
        results.summary.sort();
        results.cancelled.sort();
        results
    }
}

/// What the job holds of a carrier's month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many flights.
    pub flights: u64,
    /// How many were cancelled.
    pub cancelled: u64,
    /// How many arrived.
    pub arrived: u64,
    /// All delays together, in minutes.
    pub delay: i64,
    /// The worst one.
    pub worst_delay: Option<i32>,
}

/// What the job's state must be once it has taken in the first `flights` of the data.
pub fn totals_after(flights: usize) -> BTreeMap<(String, u8), Totals> {
    let mut all = BTreeMap::<_, Totals>::new();
    for flight in read().take(flights) {
        let totals = all.entry((flight.carrier.clone(), flight.month)).or_default();
        totals.flights += 1;
        totals.cancelled += u64::from(flight.dep_time.is_none());
        totals.arrived += u64::from(flight.arr_delay.is_some());
        totals.delay += i64::from(flight.arr_delay.unwrap_or_default());
        totals.worst_delay = totals.worst_delay.max(flight.arr_delay);
    }
    all
}

fn summary((carrier, month): (String, u8), delays: &[Option<i32>], cancelled: u64) -> Summary {
    let arrived = delays.iter().flatten().copied().collect::<Vec<_>>();
    let sum = arrived.iter().map(|delay| i64::from(*delay)).sum::<i64>();
    Summary {
        carrier,
        month,
        flights: delays.len() as u64,
        cancelled,
        mean_delay: (!arrived.is_empty()).then(|| sum as f64 / arrived.len() as f64),
        worst_delay: arrived.into_iter().max(),
    }
}

fn json(record: &impl Serialize) -> String {
    serde_json::to_string(record).expect("the record has a form in JSON")
}

/// The example's own input.
pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/flights.csv.zst")
}

/// Cuts the input into plain files in a folder, so that every subtask has some to read.
pub fn cut_into_files(folder: &Path) -> PathBuf {
    fs::create_dir(folder).expect("the folder is the test's own");
    let mut lines = BufReader::new(uncompressed()).lines().map(|line| line.expect("it is text"));
    let header = lines.next().expect("it has a header line");
    let create = |index| {
        let file = File::create(folder.join(format!("{index}.csv")));
        let mut file = BufWriter::new(file.expect("the folder is writable"));
        writeln!(file, "{header}").expect("there is room");
        file
    };
    let mut files = (0..FILES).map(create).collect::<Vec<_>>();
    for (index, line) in lines.enumerate() {
        writeln!(files[index % FILES], "{line}").expect("there is room");
    }
    folder.to_owned()
}

fn uncompressed() -> impl Read {
    let file = File::open(data()).expect("the data is part of the repository");
    zstd::Decoder::new(file).expect("it is compressed with zstd")
}

fn read() -> impl Iterator<Item = Flight> {
    let mut reader = csv::Reader::from_reader(uncompressed());
    let headers = reader.headers().expect("it has a header line").clone();
    reader.into_records().map(move |row| {
        let row = row.expect("it is CSV");
        let known = row.iter().map(|field| if field == "NA" { "" } else { field });
        let row = known.collect::<csv::StringRecord>();
        row.deserialize(Some(&headers)).expect("every row has the columns")
    })
}
