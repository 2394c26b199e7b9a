//! Snapshots, written again: to another place, or in the other form.

use anyhow::{Context, bail};
use clap::ArgMatches;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use tidegate_canonical::convert::{Wanted, to_canonical, to_native};
use tidegate_snapshot::{
    manifest::{Manifest, SnapshotForm},
    store::{LoadedSnapshot, SnapshotLocation},
};
use tidegate_storage::Places;
use tidegate_terminal::{busy, read_snapshot};

use super::form_name;
use crate::commands::{Done, Failure, text};

/// Writes a snapshot into a folder that has none yet, and reads it again to be sure.
async fn write(target: &str, manifest: &Manifest, loaded: &LoadedSnapshot) -> anyhow::Result<()> {
    let location = SnapshotLocation::find(&Places::default(), target)?;
    if location.exists().await? {
        bail!("there is a snapshot at {target} already");
    }
    let bar = ProgressBar::new(manifest.files.values().map(|file| file.length).sum());
    let style = ProgressStyle::with_template("writing {bytes} of {total_bytes}");
    bar.set_style(style.unwrap_or(ProgressStyle::default_bar()));
    for (name, entry) in &manifest.files {
        let bytes = loaded.file(name)?;
        location.write_file(name, vec![bytes], entry.crc32c).await?;
        bar.inc(entry.length);
    }
    bar.finish_and_clear();
    location.commit(manifest).await?;
    let line = busy("reading it again");
    let written = location.load().await.context("what was written can't be read")?;
    location.verify(&written).await.context("what was written is not what is there")?;
    line.finish_and_clear();
    Ok(())
}

fn done(matches: &ArgMatches, what: &str, manifest: &Manifest, target: &str) -> Done {
    let (files, bytes) = (manifest.files.len(), manifest.state_bytes());
    if matches.get_flag("json") {
        let form = form_name(manifest.form);
        println!("{}", json!({ "path": target, "form": form, "files": files, "bytes": bytes }));
    } else {
        println!("{what} to {target}: {files} files, {}, verified.", HumanBytes(bytes));
    }
    Ok(())
}

pub(super) async fn copy(matches: &ArgMatches) -> Done {
    let target = text(matches, "b").unwrap_or_default();
    let (manifest, loaded) = read_snapshot(text(matches, "a").unwrap_or_default()).await?;
    write(target, &manifest, &loaded).await?;
    done(matches, "Copied", &manifest, target)
}

pub(super) async fn convert(matches: &ArgMatches) -> Done {
    let form = match text(matches, "type").map(str::to_lowercase).as_deref() {
        Some("native") => SnapshotForm::Native,
        Some("canonical") => SnapshotForm::Canonical,
        Some(other) => {
            let message = format!("Unknown type: {other}. It is canonical or native.");
            return Err(Failure::Arguments(message));
        }
        None => return Err(Failure::Arguments("Missing --type canonical or native.".to_owned())),
    };
    let target = text(matches, "b").unwrap_or_default();
    let (manifest, loaded) = read_snapshot(text(matches, "a").unwrap_or_default()).await?;
    let line = busy("converting");
    let converted = tokio::task::spawn_blocking(move || match form {
        SnapshotForm::Native => to_native(&manifest, loaded, &Wanted::default()),
        SnapshotForm::Canonical => to_canonical(&manifest, loaded),
    });
    let (manifest, loaded) = converted.await??;
    line.finish_and_clear();
    write(target, &manifest, &loaded).await?;
    done(matches, "Converted", &manifest, target)
}
