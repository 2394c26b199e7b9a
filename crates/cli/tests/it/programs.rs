//! `tidegate state query`, which another program does: who is found, what it is handed, and how it ends.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::support::TIDEGATE;

/// A folder in which the command alone lies.
fn installed() -> TempDir {
    // In the same file system, where a link is enough.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    fs::hard_link(TIDEGATE, folder.path().join("tidegate")).expect("a link");
    folder
}

/// Puts the program that stands in for `tidegate-state` into a folder.
fn stand_in(folder: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tidegate-state");
    let program = folder.join("tidegate-state");
    symlink(script, &program).expect("a link");
    program
}

fn query(folder: &Path, path: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Output {
    let mut command = Command::new(folder.join("tidegate"));
    command.args(["state", "query"]).args(arguments).env("PATH", path).current_dir(folder);
    command.output().expect("the command starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_program_that_is_absent_is_named_with_how_to_install_it() {
    let folder = installed();
    let path = folder.path().join("bin");
    for path in [OsStr::new(""), path.as_os_str()] {
        let output = query(folder.path(), path, &[OsStr::new("--help")]);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = format!(
            "error: `tidegate state query` needs the program `tidegate-state`: there is none in {}, \
             beside this one, nor in the folders of the PATH ({})\n\
             Install it with `cargo install tidegate-state-cli`.\n",
            folder.path().display(),
            path.display(),
        );
        assert_eq!((error, output.status.code()), (expected, Some(1)));
    }
}

#[test]
fn the_program_beside_it_is_handed_every_argument_as_it_stands() {
    let folder = installed();
    stand_in(folder.path());
    let odd = OsString::from(OsStr::from_bytes(b"odd \xff"));
    let arguments = ["--", "-json", "--help", "", "SELECT 1"].map(OsStr::new);
    let output = query(folder.path(), "", &[arguments.as_slice(), &[&odd]].concat());
    let expected = b"<query><--><-json><--help><><SELECT 1><odd \xff>";
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&expected[..], Some(7)));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_path_is_searched_for_what_is_not_beside_it() {
    let (folder, first, second) = (installed(), installed(), installed());
    let path = std::env::join_paths([first.path(), second.path()]).expect("no colons");
    stand_in(second.path());
    let output = query(folder.path(), &path, &[OsStr::new("a")]);
    assert_eq!((said(&output).as_str(), output.status.code()), ("<query><a>", Some(7)));
    // What can't be run is no program.
    fs::write(first.path().join("tidegate-state"), "no program").expect("it can be written");
    assert_eq!(query(folder.path(), &path, &[]).status.code(), Some(7));
    // What lies beside it comes first.
    let program = stand_in(folder.path());
    assert_eq!(query(folder.path(), &path, &[]).status.code(), Some(7));
    fs::remove_file(&program).expect("it is there");
    symlink("/bin/true", &program).expect("a link");
    assert_eq!(query(folder.path(), &path, &[]).status.code(), Some(0));
}

#[test]
fn the_signal_that_ends_the_program_ends_the_command() {
    let folder = installed();
    stand_in(folder.path());
    let output = query(folder.path(), "", &[OsStr::new("killed")]);
    assert_eq!((said(&output).as_str(), output.status.signal()), ("<query><killed>", Some(15)));
}
