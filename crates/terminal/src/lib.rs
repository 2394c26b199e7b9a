//! What the commands `tidegate` and `tidegate-state` have in common: how they tell on a terminal what
//! takes its time and what went wrong, and how they open the snapshot that a command line names.

#![expect(clippy::print_stdout, reason = "a command's output goes to standard output")]

use std::process::ExitCode;

use clap::error::ErrorKind;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use tidegate_snapshot::{
    SnapshotError,
    manifest::Manifest,
    store::{LoadedSnapshot, SnapshotLocation},
};

/// What follows every message about the command line.
pub const HINT: &str = "Use the help option (-h or --help) to get help on the command.";

/// Says what is wrong with a command line, or what was asked for.
pub fn explain(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            println!("{error}\nPlease specify an action.");
            ExitCode::FAILURE
        }
        _ => {
            println!("{error}\n{HINT}");
            ExitCode::FAILURE
        }
    }
}

/// Says what went wrong: as JSON, or the sentence and what it comes from, verbosely all of that.
pub fn tell(error: &anyhow::Error, json: bool, verbose: bool) {
    if json {
        println!("{}", serde_json::json!({ "errors": [format!("{error:#}")] }));
        return;
    }
    eprintln!("error: {error}");
    let causes = error.chain().skip(1);
    for cause in causes.take(if verbose { usize::MAX } else { 1 }) {
        eprintln!("  Caused by: {cause}");
    }
}

/// A line on the terminal that changes; there is none without a terminal.
#[must_use]
pub fn live_line() -> ProgressBar {
    let line = ProgressBar::new_spinner();
    // Without a template there would be a spinner in front.
    line.set_style(
        ProgressStyle::with_template("{msg}").unwrap_or(ProgressStyle::default_spinner()),
    );
    line
}

/// Tells what takes its time, on a terminal.
#[must_use]
pub fn busy(what: &str) -> ProgressBar {
    let line = live_line();
    line.set_message(what.to_owned());
    line
}

/// Reads the snapshot at a path or URL whole, and checks its files.
///
/// # Errors
///
/// When there is none, or it is damaged.
pub async fn read_snapshot(path: &str) -> Result<(Manifest, LoadedSnapshot), SnapshotError> {
    let location = SnapshotLocation::parse(path)?;
    let manifest = location.load_named().await?;
    let line = busy(&format!("reading {} of {path}", HumanBytes(manifest.state_bytes())));
    let loaded = location.read_all(&manifest).await?;
    line.finish_and_clear();
    Ok((manifest, loaded))
}
