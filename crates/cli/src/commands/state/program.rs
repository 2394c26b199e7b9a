//! What another program does: SQL needs DataFusion, which takes longer to build than everything else
//! together.

use std::{
    ffi::OsString,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Error, anyhow};
use clap::ArgMatches;

/// That program, and the package to install it from.
const PROGRAM: &str = "tidegate-state";
const PACKAGE: &str = "tidegate-state-cli";

/// Becomes that program, which does `verb` with the arguments as they stand; its exit code and signals
/// are this process's then. Returns what has prevented it.
pub(super) fn hand_on(verb: &str, matches: &ArgMatches) -> Error {
    let beside = std::env::current_exe().ok();
    let beside = beside.as_deref().and_then(Path::parent);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(program) = find(beside, &path) else { return absent(verb, beside, &path) };
    let arguments = matches.get_many::<OsString>("arguments").into_iter().flatten();
    let error = Command::new(&program).arg(verb).args(arguments).exec();
    Error::from(error).context(format!("cannot run {}", program.display()))
}

/// Where the program is: beside this one, or else in a folder of the `PATH`.
fn find(beside: Option<&Path>, path: &OsString) -> Option<PathBuf> {
    // An empty one would be the current folder, whatever lies there.
    let on_path = std::env::split_paths(path).filter(|folder| !folder.as_os_str().is_empty());
    let folders = beside.map(Path::to_owned).into_iter().chain(on_path);
    folders.map(|folder| folder.join(PROGRAM)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn absent(verb: &str, beside: Option<&Path>, path: &OsString) -> Error {
    let beside = beside.map(|folder| format!("in {}, beside this one, nor ", folder.display()));
    anyhow!(
        "`tidegate state {verb}` needs the program `{PROGRAM}`: there is none {}in the folders of the \
         PATH ({})\nInstall it with `cargo install {PACKAGE}`.",
        beside.unwrap_or_default(),
        path.display(),
    )
}
