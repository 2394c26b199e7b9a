//! `cargo xtask compare OLD NEW [--pairs N] -- ARGS`: two binaries of `tidegate-bench` beside each
//! other.
//!
//! Machines are noisy, and differ from day to day: a figure says little, the ratio of two that were
//! taken one after the other says more. Old and new run in turn, nine pairs, every other one the other
//! way round. Of each figure that both print, the ratio of each pair is taken so that more is better;
//! told are the ratios' median and quartiles.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How many pairs there are, unless it is said.
const PAIRS: usize = 9;

/// Runs both binaries in turn and prints a table.
///
/// # Errors
///
/// When the arguments are wrong, or a run fails or prints no figures.
#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let Some(dashes) = arguments.iter().position(|argument| *argument == "--") else {
        bail!("expected compare OLD NEW [--pairs N] -- ARGS");
    };
    let (binaries, passed) = (&arguments[..dashes], &arguments[dashes + 1..]);
    let (old, new, pairs) = match binaries {
        [old, new] => (*old, *new, PAIRS),
        [old, new, "--pairs", pairs] => (*old, *new, pairs.parse().context("--pairs")?),
        _ => bail!("expected compare OLD NEW [--pairs N] -- ARGS"),
    };
    let mut ratios: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for pair in 0..pairs {
        let (before, after) = if pair % 2 == 0 {
            let before = figures(old, passed)?;
            (before, figures(new, passed)?)
        } else {
            let after = figures(new, passed)?;
            (figures(old, passed)?, after)
        };
        for (name, after) in after {
            if let Some(ratio) = before.get(&name).and_then(|before| ratio(&name, *before, after)) {
                ratios.entry(name).or_default().push(ratio);
            }
        }
        eprintln!("pair {} of {pairs}", pair + 1);
    }
    println!(
        "{:<44} {:>8} {:>8} {:>8}",
        "better by (1: as before)", "quartile", "median", "quartile"
    );
    for (name, mut ratios) in ratios {
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&ratios, share));
        println!("{name:<44} {low:>8.3} {median:>8.3} {high:>8.3}");
    }
    Ok(())
}

/// What one run prints, by the path of each figure.
fn figures(binary: &str, arguments: &[&str]) -> Result<BTreeMap<String, f64>> {
    let output = Command::new(binary).args(arguments).output();
    let output = output.with_context(|| format!("{binary} can't be run"))?;
    if !output.status.success() {
        bail!("{binary} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().last().with_context(|| format!("{binary} has printed nothing"))?;
    let mut found = BTreeMap::new();
    flatten("", &serde_json::from_str(line)?, &mut found);
    Ok(found)
}

fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, f64>) {
    match value {
        Value::Number(number) => {
            into.insert(path.to_owned(), number.as_f64().unwrap_or_default());
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        _ => {}
    }
}

/// How much better the new figure is, for figures of which that can be told: rates and ratios grow,
/// times and bytes shrink.
fn ratio(name: &str, before: f64, after: f64) -> Option<f64> {
    let has = |part: &str| name.contains(part);
    let is_cost = has("seconds") || has("_ms") || has("_us") || has("bytes");
    let (better, worse) = if has("per_second") {
        (after, before)
    } else if is_cost {
        (before, after)
    } else if has("ratio") || has("rate") {
        (after, before)
    } else {
        return None;
    };
    (better > 0.0 && worse > 0.0).then(|| better / worse)
}

/// Of sorted values, interpolated.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * share;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_better_whatever_is_measured() {
        assert_eq!(ratio("records_per_second", 100.0, 110.0), Some(1.1));
        assert_eq!(ratio("checkpoints.duration_ms.p99", 11.0, 10.0), Some(1.1));
        assert_eq!(ratio("peak_rss_bytes", 0.0, 10.0), None, "nothing to compare with");
        assert_eq!(ratio("keys", 5.0, 6.0), None, "that is no figure");
    }

    #[test]
    fn quartiles_lie_between_the_values() {
        assert_eq!(
            [0.25, 0.5, 0.75].map(|share| quantile(&[1.0, 2.0, 3.0, 4.0], share)),
            [1.75, 2.5, 3.25]
        );
        assert_eq!(quantile(&[7.0], 0.5), 7.0);
    }

    #[test]
    fn figures_are_called_by_their_path() {
        let mut found = BTreeMap::new();
        let value = serde_json::json!({"a": {"b": 1, "c": "text"}, "d": 2.5});
        flatten("", &value, &mut found);
        assert_eq!(found, BTreeMap::from([("a.b".to_owned(), 1.0), ("d".to_owned(), 2.5)]));
    }
}
