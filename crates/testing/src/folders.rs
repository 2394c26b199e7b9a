//! What lies in folders while jobs write there.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// All entries of a folder, by name; none if there is no folder.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    // An entry may go while the folder is read.
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>();
    paths.sort();
    paths
}

/// The name of a path's last part.
pub fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("the tests' names are UTF-8")
}

/// The folders `<checkpoints>/<job id>/chk-<n>` of all jobs.
pub fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let all = entries(folder).into_iter().flat_map(|job| entries(&job));
    all.filter(|path| name(path).starts_with("chk-")).collect()
}

/// Whether a folder is a snapshot, and not what is left or under way of one.
pub fn is_complete(snapshot: &Path) -> bool {
    snapshot.join("_metadata").is_file()
}

/// The files of a sink that are not finished and end like this.
pub fn unfinished(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut paths = entries(folder);
    paths.retain(|path| name(path).starts_with('.') && name(path).ends_with(ending));
    paths
}

/// The lines of all finished files of a sink, sorted.
pub fn lines(folder: &Path) -> Vec<String> {
    let finished = entries(folder).into_iter().filter(|path| !name(path).starts_with('.'));
    let mut lines = Vec::new();
    for path in finished {
        let text = fs::read_to_string(&path).expect("a finished file can be read");
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort();
    lines
}

/// Makes a copy of a checkpoint under a later number, as a run could have left it that was taken over
/// from before it had recorded it.
pub fn forge_later(checkpoint: &Path) -> PathBuf {
    let number = name(checkpoint).trim_start_matches("chk-").parse::<u64>().expect("a number");
    let forged = checkpoint.with_file_name(format!("chk-{}", number + 1_000));
    fs::create_dir(&forged).expect("the folder is the test's own");
    for file in fs::read_dir(checkpoint).expect("it is there").flatten() {
        fs::copy(file.path(), forged.join(file.file_name())).expect("there is room");
    }
    forged
}

/// A savepoint of the corpus, in one form or the other.
pub fn corpus(form: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tidegate/tests/corpus/0.1.0").join(form)
}
