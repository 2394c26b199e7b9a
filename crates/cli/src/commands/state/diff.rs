//! What differs between two snapshots.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::anyhow;
use clap::ArgMatches;
use serde_json::{Value, json};
use tidegate_canonical::inspect::{Inspector, StateInfo};
use tidegate_terminal::busy;

use super::{inspect, show::cells};
use crate::commands::{Done, text};

/// How many keys of each kind are shown, unless `--limit` says otherwise.
const SAMPLES: usize = 5;
/// How many characters of one are shown.
const SHOWN: usize = 160;

/// Rows by key as JSON; items of operator state by themselves.
type Rows = BTreeMap<String, Vec<String>>;

fn rows(inspector: &Inspector, state: &StateInfo) -> anyhow::Result<Rows> {
    let mut rows = Rows::new();
    let keyed = state.key_type.is_some();
    inspector.for_each_row(state, |row| {
        let mut cells = cells(&row)?.into_iter().map(|(_, value)| value.to_string());
        let key = cells.next().unwrap_or_default();
        let rest = if keyed { cells.collect::<Vec<_>>().join(" ") } else { String::new() };
        rows.entry(key).or_default().push(rest);
        Ok(())
    })?;
    Ok(rows)
}

/// What differs in one state.
#[derive(Default)]
struct Difference {
    added: Vec<(String, String)>,
    removed: Vec<(String, String)>,
    changed: Vec<(String, String, String)>,
    same: usize,
}

impl Difference {
    fn of(before: Rows, mut after: Rows) -> Self {
        let mut difference = Self::default();
        for (key, mut old) in before {
            let Some(mut new) = after.remove(&key) else {
                difference.removed.extend(old.into_iter().map(|value| (key.clone(), value)));
                continue;
            };
            old.sort();
            new.sort();
            if old == new {
                difference.same += old.len();
            } else {
                difference.changed.push((key, old.join(", "), new.join(", ")));
            }
        }
        for (key, new) in after {
            difference.added.extend(new.into_iter().map(|value| (key.clone(), value)));
        }
        difference
    }

    fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn json(&self, uid: &str, state: &str, limit: usize) -> Value {
        let pairs = |pairs: &[(String, String)]| {
            pairs.iter().take(limit).map(|(key, value)| json!([key, value])).collect::<Vec<_>>()
        };
        let changed = self.changed.iter().take(limit);
        json!({
            "uid": uid, "state": state, "same": self.same,
            "added": self.added.len(), "removed": self.removed.len(),
            "changed": self.changed.len(),
            "added-samples": pairs(&self.added), "removed-samples": pairs(&self.removed),
            "changed-samples":
                changed.map(|(key, old, new)| json!([key, old, new])).collect::<Vec<_>>(),
        })
    }

    fn print(&self, limit: usize) {
        for (key, value) in self.added.iter().take(limit) {
            println!("  + {}  {}", shortened(key), shortened(value));
        }
        for (key, value) in self.removed.iter().take(limit) {
            println!("  - {}  {}", shortened(key), shortened(value));
        }
        for (key, old, new) in self.changed.iter().take(limit) {
            println!("  ~ {}  {} -> {}", shortened(key), shortened(old), shortened(new));
        }
    }
}

/// As much of a sample as fits on a line.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) async fn diff(matches: &ArgMatches) -> Done {
    let limit = match text(matches, "limit") {
        None => SAMPLES,
        Some(text) => text.parse().map_err(|_| anyhow!("--limit takes a number"))?,
    };
    let before = inspect(text(matches, "a").unwrap_or_default()).await?;
    let after = inspect(text(matches, "b").unwrap_or_default()).await?;
    let by_name = |inspector: &Inspector| {
        let states = inspector.states()?.into_iter();
        let named = states.map(|state| ((state.uid.to_string(), state.name.clone()), state));
        anyhow::Ok(named.collect::<BTreeMap<_, _>>())
    };
    let (old, new) = (by_name(&before)?, by_name(&after)?);
    let names = old.keys().chain(new.keys()).collect::<BTreeSet<_>>();
    let (mut all, mut different) = (Vec::new(), 0);
    for name in names {
        let line = busy(&format!("comparing {} of operator {}", name.1, name.0));
        let read = |inspector: &Inspector, state: Option<&StateInfo>| {
            state.map_or_else(|| Ok(Rows::new()), |state| rows(inspector, state))
        };
        let rows = (read(&before, old.get(name))?, read(&after, new.get(name))?);
        let difference = Difference::of(rows.0, rows.1);
        line.finish_and_clear();
        different += usize::from(!difference.is_none());
        all.push((name, difference));
    }
    if matches.get_flag("json") {
        let states =
            all.iter().map(|((uid, state), difference)| difference.json(uid, state, limit));
        println!("{}", json!({ "equal": different == 0, "states": states.collect::<Vec<_>>() }));
        return Ok(());
    }
    for ((uid, state), difference) in &all {
        println!(
            "\"{uid}\".\"{state}\": {} added, {} removed, {} changed, {} the same",
            difference.added.len(),
            difference.removed.len(),
            difference.changed.len(),
            difference.same
        );
        difference.print(limit);
    }
    match different {
        0 => println!("The state is the same."),
        count => println!("{count} of {} states differ.", all.len()),
    }
    Ok(())
}
