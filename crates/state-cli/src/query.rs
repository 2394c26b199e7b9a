//! SQL over a snapshot: a table per state, named `"uid"."state"`.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use clap::Args;
use datafusion::{
    arrow::{
        array::RecordBatch,
        util::{display::FormatOptions, pretty::pretty_format_batches_with_options},
    },
    catalog::{MemorySchemaProvider, SchemaProvider},
    datasource::MemTable,
    execution::context::SQLOptions,
    prelude::{SessionConfig, SessionContext},
};
use tidegate_canonical::{arrow::batches, convert::to_canonical, inspect::state_names};
use tidegate_snapshot::{manifest::Manifest, store::LoadedSnapshot};
use tidegate_terminal::{busy, read_snapshot};

/// Answers a question in SQL; the tables are named "uid"."state".
#[derive(Args)]
pub(crate) struct Query {
    /// The savepoint or checkpoint: a folder or URL.
    path: String,
    /// The question.
    sql: String,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Shows the whole chain of causes of an error.
    #[arg(long)]
    pub(crate) verbose: bool,
}

impl Query {
    /// Prints the answer.
    pub(crate) async fn answer(&self) -> anyhow::Result<()> {
        let (manifest, loaded) = read_snapshot(&self.path).await?;
        let line = busy("making tables of it");
        let converted = tokio::task::spawn_blocking(move || to_canonical(&manifest, loaded));
        let (manifest, loaded) = converted.await??;
        let context = tables_of(&manifest, &loaded)?;
        line.set_message("querying");
        let planned = context.sql_with_options(&self.sql, questions_only()).await;
        let planned = planned.map_err(|error| {
            let tables = names(&manifest).join("\n  ");
            anyhow!("{}\nThe tables are\n  {tables}", error.strip_backtrace())
        })?;
        let columns = Arc::clone(planned.schema().inner());
        let mut rows =
            planned.collect().await.map_err(|error| anyhow!("{}", error.strip_backtrace()))?;
        if rows.is_empty() {
            rows.push(RecordBatch::new_empty(columns));
        }
        line.finish_and_clear();
        self.print(&rows)
    }

    fn print(&self, rows: &[RecordBatch]) -> anyhow::Result<()> {
        use datafusion::arrow::{csv, json};
        let mut out = Vec::new();
        if self.csv {
            let mut writer = csv::Writer::new(&mut out);
            rows.iter().try_for_each(|batch| writer.write(batch))?;
            drop(writer);
        } else if self.json {
            let mut writer = json::LineDelimitedWriter::new(&mut out);
            writer.write_batches(&rows.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        } else {
            let options = FormatOptions::new().with_display_error(true);
            let count = rows.iter().map(RecordBatch::num_rows).sum::<usize>();
            let table = pretty_format_batches_with_options(rows, &options)?;
            out = format!("{table}\n{count} row(s).\n").into_bytes();
        }
        std::io::Write::write_all(&mut std::io::stdout(), &out)?;
        Ok(())
    }
}

/// A table per state of a snapshot in canonical form.
fn tables_of(manifest: &Manifest, loaded: &LoadedSnapshot) -> anyhow::Result<SessionContext> {
    let context = SessionContext::new_with_config(
        SessionConfig::new()
            .with_information_schema(true)
            .with_create_default_catalog_and_schema(true),
    );
    let catalog = context.catalog("datafusion").ok_or_else(|| anyhow!("no catalog"))?;
    for (uid, operator) in &manifest.operators {
        let schema = Arc::new(MemorySchemaProvider::new());
        for state in state_names(operator) {
            let Some(batches) = batches(manifest, loaded, uid.as_str(), &state)? else {
                continue;
            };
            let columns = batches.first().map(RecordBatch::schema);
            let table = MemTable::try_new(columns.context("no columns")?, vec![batches])?;
            schema.register_table(state, Arc::new(table))?;
        }
        catalog.register_schema(uid.as_str(), schema)?;
    }
    Ok(context)
}

/// Nothing is to be written, nor read from elsewhere.
fn questions_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

fn names(manifest: &Manifest) -> Vec<String> {
    let operators = manifest.operators.iter();
    let named = |uid: &str, states: Vec<String>| {
        states.into_iter().map(move |state| format!("\"{uid}\".\"{state}\"")).collect::<Vec<_>>()
    };
    operators.flat_map(|(uid, operator)| named(uid.as_str(), state_names(operator))).collect()
}
