//! Another process plays the same: by its name, number, environment and folder nothing is different.

use std::process::Command;

#[test]
fn another_process_in_another_folder_plays_the_same() {
    let told = |folder: &str, zone: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_tidegate-sim"));
        program.args(["run", "--seed", "5", "--seeds", "2", "--trace"]);
        let ended = program.current_dir(folder).env_clear().env("TZ", zone).output();
        let ended = ended.expect("it can be run");
        assert!(ended.status.success(), "{ended:?}");
        let text = String::from_utf8(ended.stdout).expect("it is text");
        // The last line tells how long that took.
        let lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (_, events) = lines.split_last().expect("there are some");
        events.to_vec()
    };
    let (one, other) = (told("/", "UTC"), told("/tmp", "Asia/Tokyo"));
    assert!(one.len() > 100, "{one:?}");
    assert_eq!(one, other);
}
