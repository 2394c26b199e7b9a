//! The rows of a state.

use std::io::Write;

use anyhow::anyhow;
use clap::ArgMatches;
use serde_json::{Map, Value};
use tidegate_canonical::{CanonicalError, inspect::Row, json::to_json};

use super::{inspect, named, path, print_table, shortened};
use crate::commands::{Done, text};

/// How many rows are shown, unless `--limit` says otherwise.
const LIMIT: usize = 20;

/// The columns of a row, as JSON.
pub(super) fn cells(row: &Row<'_>) -> Result<Vec<(&'static str, Value)>, CanonicalError> {
    let columns = row.columns.iter();
    columns.map(|(name, of, bytes)| Ok((*name, to_json(of, bytes)?))).collect()
}

/// A key as it is given on the command line: JSON, or else a text.
fn wanted_key(matches: &ArgMatches) -> Option<Value> {
    let given = text(matches, "key")?;
    Some(serde_json::from_str(given).unwrap_or_else(|_| Value::from(given)))
}

pub(super) async fn show(matches: &ArgMatches) -> Done {
    let inspector = inspect(path(matches)).await?;
    let state = named(&inspector, matches)?;
    let limit = match text(matches, "limit") {
        None => LIMIT,
        Some("all") => usize::MAX,
        Some(text) => text.parse().map_err(|_| anyhow!("--limit takes a number, or all"))?,
    };
    let key = wanted_key(matches);
    if key.is_some() && state.key_type.is_none() {
        return Err(anyhow!("the state `{}` has no keys", state.name).into());
    }
    let (mut rows, mut found) = (Vec::new(), 0_u64);
    inspector.for_each_row(&state, |row| {
        if key.is_none() && rows.len() >= limit {
            found += 1;
            return Ok(());
        }
        let cells = cells(&row)?;
        let is_wanted = key.as_ref().is_none_or(|key| {
            let own = &cells[0].1;
            // A number may be a text in the state.
            own == key || own.as_str().is_some_and(|own| own == key.to_string().as_str())
        });
        if is_wanted {
            found += 1;
            if rows.len() < limit {
                rows.push((row.group, cells));
            }
        }
        Ok(())
    })?;
    if matches.get_flag("csv") {
        return print_csv(rows.into_iter().map(|(_, cells)| cells));
    }
    if matches.get_flag("json") {
        for (group, cells) in rows {
            let group = group.map(|group| ("key_group".to_owned(), Value::from(group.get())));
            let cells = cells.into_iter().map(|(name, value)| (name.to_owned(), value));
            println!("{}", Value::Object(group.into_iter().chain(cells).collect::<Map<_, _>>()));
        }
        return Ok(());
    }
    let shown = rows.len() as u64;
    let lines = rows.into_iter().map(|(_, cells)| {
        let mut cells = cells.into_iter().map(|(_, value)| shortened(value.to_string()));
        let mut next = || cells.next().unwrap_or_default();
        [next(), next(), next()]
    });
    let head = match (&state.key_type, state.ttl_ms) {
        (Some(_), Some(_)) => ["key", "value", "written_at"],
        (Some(_), None) => ["key", "value", ""],
        (None, _) => ["value", "", ""],
    };
    print_table(head, lines.collect());
    println!("{shown} of {found} row(s).");
    Ok(())
}

fn print_csv(rows: impl Iterator<Item = Vec<(&'static str, Value)>>) -> Done {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (number, cells) in rows.enumerate() {
        if number == 0 {
            writer.write_record(cells.iter().map(|(name, _)| *name))?;
        }
        let plain = cells.into_iter().map(|(_, value)| match value {
            Value::String(text) => text,
            value => value.to_string(),
        });
        writer.write_record(plain)?;
    }
    let text = writer.into_inner().map_err(|error| anyhow!("{error}"))?;
    std::io::stdout().write_all(&text)?;
    Ok(())
}
