//! Looking into savepoints and checkpoints, without a cluster and without the job.

mod diff;
mod program;
mod rewrite;
mod show;
mod sweep;

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use indicatif::HumanBytes;
use serde_json::{Value, json};
use tidegate_canonical::{
    inspect::{Inspector, StateInfo},
    table::TableSchema,
};
use tidegate_snapshot::manifest::{SnapshotForm, SnapshotKind, StateDescription};
use tidegate_terminal::{busy, read_snapshot};

use super::{Done, Failure, text};

/// Does what the command line says.
pub(super) async fn run(matches: &ArgMatches) -> Done {
    let Some((verb, own)) = matches.subcommand() else { return Ok(()) };
    match verb {
        "ls" => ls(own).await,
        "schema" => schema(own).await,
        "show" => show::show(own).await,
        "query" => Err(program::hand_on("query", own).into()),
        "diff" => diff::diff(own).await,
        "verify" => verify(own).await,
        "copy" => rewrite::copy(own).await,
        "convert" => rewrite::convert(own).await,
        "sweep" => sweep::sweep(own).await,
        other => Err(Failure::Arguments(format!("\"{other}\" is not a valid action."))),
    }
}

async fn inspect(path: &str) -> anyhow::Result<Inspector> {
    let (manifest, loaded) = read_snapshot(path).await?;
    Ok(Inspector::new(manifest, loaded))
}

/// The snapshot that a command is about.
fn path(matches: &ArgMatches) -> &str {
    text(matches, "path").unwrap_or_default()
}

fn form_name(form: SnapshotForm) -> &'static str {
    match form {
        SnapshotForm::Native => "native",
        SnapshotForm::Canonical => "canonical",
    }
}

fn kind_name(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Checkpoint => "checkpoint",
        SnapshotKind::Savepoint => "savepoint",
        SnapshotKind::FinalSavepoint => "final savepoint",
    }
}

fn info_json(state: &StateInfo) -> Value {
    json!({
        "uid": state.uid, "operator": state.operator, "state": state.name, "kind": state.kind,
        "key-type": state.key_type, "value-type": state.value_type, "ttl-ms": state.ttl_ms,
        "rows": state.rows, "bytes": state.bytes, "files": state.files,
    })
}

async fn ls(matches: &ArgMatches) -> Done {
    let inspector = inspect(path(matches)).await?;
    let (manifest, states) = (inspector.manifest(), inspector.states()?);
    if matches.get_flag("json") {
        println!(
            "{}",
            json!({
                "job-id": manifest.job.id, "job-name": manifest.job.name,
                "kind": kind_name(manifest.kind), "form": form_name(manifest.form),
                "checkpoint": manifest.checkpoint, "completed-at": manifest.completed_at.millis(),
                "states": states.iter().map(info_json).collect::<Vec<_>>(),
            })
        );
        return Ok(());
    }
    println!(
        "{} {} of job {} ({}), {} form",
        kind_name(manifest.kind),
        manifest.checkpoint,
        manifest.job.name,
        manifest.job.id,
        form_name(manifest.form)
    );
    let rows = states.iter().map(|state| {
        let value = state.value_type.clone().unwrap_or_else(|| "not described".to_owned());
        let of = match &state.key_type {
            Some(key) => format!("{key} -> {value}"),
            None => value,
        };
        let (rows, bytes) = (state.rows.to_string(), HumanBytes(state.bytes).to_string());
        [state.uid.to_string(), state.name.clone(), state.kind.clone(), rows, bytes, of]
    });
    print_table(["operator", "state", "kind", "rows", "bytes", "type"], rows.collect());
    Ok(())
}

/// How many characters of a value a table shows; `--json` and `--csv` show all of it.
const SHOWN: usize = 1_000;

/// A value as a table shows it.
fn shortened(cell: String) -> String {
    match cell.char_indices().nth(SHOWN) {
        Some((end, _)) => {
            let hidden = cell[end..].chars().count();
            format!("{}… ({hidden} more)", &cell[..end])
        }
        None => cell,
    }
}

/// Prints rows in columns as wide as they need to be.
fn print_table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) {
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let all = std::iter::once(&head).chain(&rows);
        let widest = all.map(|row| row[column].chars().count()).max().unwrap_or(0);
        // More is no width for `format!`.
        widest.min(usize::from(u16::MAX))
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// The state that `--uid` and `--state` name; if there is only one, they may be left out.
fn named(inspector: &Inspector, matches: &ArgMatches) -> anyhow::Result<StateInfo> {
    let states = inspector.states()?;
    let is = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
    let matching = states.iter().filter(|state| {
        is(text(matches, "uid"), state.uid.as_str()) && is(text(matches, "state"), &state.name)
    });
    let matching = matching.collect::<Vec<_>>();
    let list = |states: &[&StateInfo]| {
        let name = |state: &&StateInfo| format!("--uid '{}' --state '{}'", state.uid, state.name);
        states.iter().map(name).collect::<Vec<_>>().join("\n  ")
    };
    match matching[..] {
        [only] => Ok(only.clone()),
        [] => {
            let all = states.iter().collect::<Vec<_>>();
            Err(anyhow!("there is no such state; there are\n  {}", list(&all)))
        }
        _ => Err(anyhow!("name one of these states:\n  {}", list(&matching))),
    }
}

fn table_schema(state: &StateInfo) -> TableSchema {
    match (&state.key_type, &state.value_type) {
        (Some(key_type), Some(value_type)) => {
            let described = StateDescription {
                id: 0,
                name: state.name.clone(),
                kind: state.kind.clone(),
                value_type: value_type.clone(),
                ttl_ms: state.ttl_ms,
            };
            TableSchema::keyed(key_type, &described)
        }
        (_, value_type) => TableSchema::list(&state.name, value_type.as_deref()),
    }
}

async fn schema(matches: &ArgMatches) -> Done {
    let inspector = inspect(path(matches)).await?;
    let mut all = Vec::new();
    for state in inspector.states()? {
        let columns = table_schema(&state).describe();
        if matches.get_flag("json") {
            let mut info = info_json(&state);
            info["columns"] = json!(columns);
            all.push(info);
            continue;
        }
        println!("\"{}\".\"{}\" ({})", state.uid, state.name, state.kind);
        if let Some(key) = &state.key_type {
            println!("  key:     {key}");
        }
        let value = state.value_type.as_deref().unwrap_or("not described");
        println!("  value:   {value}");
        println!("  columns: {columns}");
        for file in &state.files {
            println!("  file:    {file}");
        }
    }
    if matches.get_flag("json") {
        println!("{}", Value::from(all));
    }
    Ok(())
}

async fn verify(matches: &ArgMatches) -> Done {
    let path = path(matches);
    // Every file is there, as long as it should be, and has its checksum.
    let inspector = inspect(path).await?;
    let files = inspector.manifest().files.len();
    let mut checked = Vec::new();
    for state in inspector.states()? {
        let line = busy(&format!("checking {} of operator {}", state.name, state.uid));
        let (rows, looked) = inspector.check(&state).with_context(|| {
            format!("the state `{}` of operator `{}` is damaged", state.name, state.uid)
        })?;
        line.finish_and_clear();
        checked.push((state, rows, looked));
    }
    if matches.get_flag("json") {
        let states = checked.iter().map(|(state, rows, looked)| {
            json!({ "uid": state.uid, "state": state.name, "rows": rows, "keys-checked": looked })
        });
        println!("{}", json!({ "files": files, "states": states.collect::<Vec<_>>() }));
        return Ok(());
    }
    for (state, rows, looked) in &checked {
        let note = match (looked, &state.key_type) {
            (true, Some(_)) => ", every key in its key group",
            (false, _) => ", keys not checked: their type can't be described",
            _ => "",
        };
        println!("ok  \"{}\".\"{}\": {rows} rows{note}", state.uid, state.name);
    }
    println!("{path} is whole: {files} files, {} states.", checked.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_cell_is_shown_cut() {
        assert_eq!(shortened("short".to_owned()), "short");
        assert_eq!(shortened("é".repeat(SHOWN)), "é".repeat(SHOWN));
        let large = "é".repeat(70_000);
        assert_eq!(shortened(large), format!("{}… (69000 more)", "é".repeat(SHOWN)));
        print_table(["value"], vec![["x".repeat(70_000)]]);
    }
}
