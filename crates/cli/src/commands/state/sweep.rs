//! Deletes what no manifest reaches: half-written snapshots, and files beside complete ones.

use std::time::{Duration, SystemTime};

use anyhow::Context;
use clap::ArgMatches;
use indicatif::HumanBytes;
use serde_json::{Value, json};
use tidegate_snapshot::store::{Leftover, Rule, Untidy, find_untidy};
use tidegate_storage::{Address, Place};

use crate::commands::{Done, text};

/// What was written less long ago may still be wanted by a run.
const AGE: Duration = Duration::from_secs(3600);

pub(super) async fn sweep(matches: &ArgMatches) -> Done {
    let place = Place::at(Address::parse(text(matches, "path").unwrap_or_default())?)?;
    let age = if matches.get_flag("all") { Duration::ZERO } else { AGE };
    let found = find_untidy(&place, Rule { now: SystemTime::now(), age }).await?;
    let is_dry = matches.get_flag("dry-run");
    for untidy in found.iter().filter(|untidy| untidy.spared.is_none() && !is_dry) {
        let removed = untidy.location.remove(untidy.leftovers.clone()).await;
        removed.with_context(|| format!("{} could not be swept", untidy.location))?;
    }
    if matches.get_flag("json") {
        let all = found.iter().map(|untidy| as_json(untidy, is_dry));
        println!("{}", Value::from(all.collect::<Vec<_>>()));
    } else {
        found.iter().for_each(|untidy| tell(untidy, is_dry));
        tell_sum(&found, is_dry);
    }
    Ok(())
}

fn bytes(leftovers: &[Leftover]) -> u64 {
    leftovers.iter().map(Leftover::length).sum()
}

fn as_json(untidy: &Untidy, is_dry: bool) -> Value {
    json!({
        "path": untidy.location.to_string(), "complete": untidy.is_complete,
        "files": untidy.leftovers.iter().map(Leftover::path).collect::<Vec<_>>(),
        "bytes": bytes(&untidy.leftovers), "spared": untidy.spared,
        "deleted": untidy.spared.is_none() && !is_dry,
    })
}

fn tell(untidy: &Untidy, is_dry: bool) {
    let Untidy { location, is_complete, leftovers, spared } = untidy;
    let what = if *is_complete { "beside a complete snapshot" } else { "of one never completed" };
    let (count, size) = (leftovers.len(), HumanBytes(bytes(leftovers)));
    match (spared, is_dry) {
        (Some(reason), _) => println!("left alone  {location}: {reason}"),
        (None, true) => println!("would go    {location}: {count} files, {size}, {what}"),
        (None, false) => println!("deleted     {location}: {count} files, {size}, {what}"),
    }
}

fn tell_sum(found: &[Untidy], is_dry: bool) {
    let swept = found.iter().filter(|untidy| untidy.spared.is_none());
    let (files, sum) = swept.fold((0, 0), |(files, sum), untidy| {
        (files + untidy.leftovers.len(), sum + bytes(&untidy.leftovers))
    });
    let (done, sum) = (if is_dry { "would be deleted" } else { "deleted" }, HumanBytes(sum));
    let spared = found.iter().filter(|untidy| untidy.spared.is_some()).count();
    println!("{files} files of {sum} {done}; {spared} folders left alone.");
}
