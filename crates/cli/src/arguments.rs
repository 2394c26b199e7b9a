//! The command line: Flink's verbs and flags, long ones with one dash or two.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{Arg, ArgAction, Command, error::ErrorKind, value_parser};

/// The arguments as clap understands them: long options may have one dash, as in Flink. What follows
/// the binary of `run` and `info` is the job's own, and stays as it is; so does what another program is
/// handed.
pub(crate) fn normalised(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut command = command();
    command.build();
    let mut all = vec![OsString::from("tidegate")];
    let mut arguments = arguments.peekable();
    let verb = arguments.next_if(|argument| !is_option(argument));
    let options = match verb.as_ref().and_then(|verb| command.find_subcommand(verb)) {
        Some(own) => own.clone(),
        None => command,
    };
    let takes_own = verb.as_ref().is_some_and(|verb| verb == "run" || verb == "info");
    all.extend(verb);
    while let Some(argument) = arguments.next() {
        if is_option(&argument) {
            let known = known(&options, &argument);
            let values = known.as_ref().and_then(|(option, _)| option.get_num_args());
            all.push(known.map_or(argument, |(_, written)| written.into()));
            let needs_value = values.is_some_and(|n| n.min_values() > 0);
            all.extend(arguments.next_if(|_| needs_value));
            continue;
        }
        all.push(argument);
        if all == ["tidegate", "state", "query"] {
            // clap takes this one away, and looks at nothing behind it.
            all.push("--".into());
        } else if !takes_own {
            continue;
        }
        all.extend(arguments);
        break;
    }
    all
}

fn is_option(argument: &OsStr) -> bool {
    argument.as_encoded_bytes().starts_with(b"-")
}

/// The option that an argument is, and how clap wants it written.
fn known<'a>(options: &'a Command, argument: &OsStr) -> Option<(&'a Arg, String)> {
    let text = argument.to_str()?;
    if let Some(option) = long_option(options, text) {
        return Some((option, format!("--{}", text.trim_start_matches('-'))));
    }
    let is_it = |short| text.strip_prefix('-').is_some_and(|rest| rest.chars().eq([short]));
    let mut all = options.get_arguments();
    let option = all.find(|option| option.get_short().is_some_and(is_it))?;
    Some((option, text.to_owned()))
}

/// The option with this long name, behind one dash or two.
fn long_option<'a>(options: &'a Command, argument: &str) -> Option<&'a Arg> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    options.get_arguments().filter(|_| name.chars().count() > 1).find(|option| {
        option.get_long() == Some(name)
            || option.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
    })
}

/// Says what is wrong with a command line, or what was asked for.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let verb = error.get(clap::error::ContextKind::InvalidSubcommand);
            let verb = verb.map(ToString::to_string).unwrap_or_default();
            println!("\"{verb}\" is not a valid action.\n");
            let usage = error.get(clap::error::ContextKind::Usage).map(ToString::to_string);
            if usage.is_some_and(|usage| usage.contains(" state ")) {
                let verbs = state_verbs();
                let verbs = verbs.get_subcommands().map(|verb| format!("\"{}\"", verb.get_name()));
                println!("Valid actions are {}.", verbs.collect::<Vec<_>>().join(", "));
                return ExitCode::FAILURE;
            }
            println!(
                "Valid actions are \"run\", \"list\", \"info\", \"savepoint\", \"stop\", \
                 \"cancel\", \"checkpoint\", \"checkpoints\", \"rescale\", \"logs\", \
                 \"state\", \"jobmanager\", \"taskmanager\", \"cluster\", or \"completions\"."
            );
            ExitCode::FAILURE
        }
        _ => tidegate_terminal::explain(error),
    }
}

fn value(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(name).help(help)
}

fn flag(id: &'static str, help: &'static str) -> Arg {
    Arg::new(id).long(id).action(ArgAction::SetTrue).help(help)
}

/// A verb with the flags that all of them have.
fn verb(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(
            value("jobmanager", "HOST:PORT", "The JobManager's REST API.")
                .short('m')
                .long("jobmanager"),
        )
        .arg(value("option", "KEY=VALUE", "Sets an option.").short('D').action(ArgAction::Append))
        .arg(value("config", "FILE", "Reads options from a config.yaml.").long("config"))
        .arg(flag("json", "Prints JSON."))
        .arg(flag("verbose", "Shows the whole chain of causes of an error."))
}

fn job() -> Arg {
    value("job", "JOB_ID", "The job's id.")
}

/// Of an operation that was started before.
fn trigger() -> Arg {
    value("trigger", "TRIGGER_ID", "Waits for one that was started before.").long("trigger")
}

fn snapshot_type() -> Arg {
    value(
        "type",
        "canonical|native",
        "The savepoint's form: one that any tool reads, or the fast one.",
    )
    .long("type")
    .ignore_case(true)
}

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("tidegate")
        .about("Runs stream jobs on a cluster, and brings them through whatever happens to them.")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Prints the version."),
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(job_verbs())
        .subcommands(process_verbs())
}

fn job_verbs() -> Vec<Command> {
    vec![
        verb("run", "Uploads a job's binary and runs it.")
            .arg(
                flag("dryRun", "Tells what a restore would do, and starts nothing.")
                    .long("dry-run"),
            )
            .arg(flag("detached", "Does not wait for the job's end.").short('d'))
            .arg(
                value("parallelism", "N", "How many subtasks each operator has.")
                    .short('p')
                    .long("parallelism"),
            )
            .arg(
                value("fromSavepoint", "PATH", "Starts from a savepoint or checkpoint.")
                    .short('s')
                    .long("fromSavepoint")
                    .alias("from-savepoint"),
            )
            .arg(
                flag("allowNonRestoredState", "Leaves state of removed operators behind.")
                    .short('n')
                    .alias("allow-non-restored-state"),
            )
            .arg(
                flag("verify", "Reads and checks all of the snapshot before the job starts.")
                    .long("verify"),
            )
            .arg(
                value("claimMode", "claim|no_claim", "Whether the job takes the snapshot over.")
                    .long("claimMode")
                    .alias("cm")
                    .alias("claim-mode"),
            )
            .arg(
                value("class", "CLASS", "Accepted for Flink's sake, and ignored.")
                    .short('c')
                    .long("class"),
            )
            .arg(value("binary", "BINARY", "The job's binary.").required(true))
            .arg(
                value("arguments", "ARGUMENTS", "The job's own arguments.")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true),
            ),
        verb("info", "Shows what a binary would run.")
            .arg(
                value("parallelism", "N", "How many subtasks each operator has.")
                    .short('p')
                    .long("parallelism"),
            )
            .arg(value("binary", "BINARY", "The job's binary.").required(true))
            .arg(
                value("arguments", "ARGUMENTS", "The job's own arguments.")
                    .num_args(0..)
                    .trailing_var_arg(true)
                    .allow_hyphen_values(true),
            ),
        verb("list", "Lists jobs.")
            .arg(flag("running", "Only those that run.").short('r'))
            .arg(flag("scheduled", "Only those that wait.").short('s'))
            .arg(flag("all", "Those that have ended, too.").short('a')),
        verb("savepoint", "Takes a savepoint, or deletes one.")
            .arg(job())
            .arg(value("target", "DIR", "The folder for it."))
            .arg(value("dispose", "PATH", "Deletes this savepoint.").short('d').long("dispose"))
            .arg(snapshot_type())
            .arg(trigger())
            .arg(flag("detached", "Does not wait for it.")),
        verb("stop", "Takes a savepoint and stops the job with it.")
            .arg(job())
            .arg(
                value("savepointPath", "DIR", "The folder for it.")
                    .short('p')
                    .short_alias('s')
                    .long("savepointPath")
                    .num_args(0..=1),
            )
            .arg(flag("drain", "Fires all timers and windows before.").short('d'))
            .arg(snapshot_type())
            .arg(trigger())
            .arg(flag("detached", "Does not wait for it.")),
        verb("cancel", "Cancels a job.").arg(job()).arg(
            value("withSavepoint", "DIR", "Takes a savepoint before (deprecated: use stop).")
                .short('s')
                .long("withSavepoint")
                .num_args(0..=1),
        ),
        verb("checkpoint", "Takes a checkpoint.")
            .arg(job())
            .arg(trigger())
            .arg(flag("full", "A full one, as all are.")),
        verb("checkpoints", "Shows a job's checkpoints.").arg(job().required(true)),
        verb("rescale", "Changes how many subtasks a job's operators have.")
            .arg(job().required(true))
            .arg(
                value("parallelism", "N", "How many.")
                    .short('p')
                    .long("parallelism")
                    .required(true),
            )
            .arg(flag("detached", "Does not wait for it.")),
        verb("logs", "Shows what a job's processes have written.")
            .arg(job().required(true))
            .arg(value("attempt", "N", "Of which attempt, by default the latest.").long("attempt"))
            .arg(value("process", "N", "Of which process, by default all.").long("process"))
            .arg(flag("follow", "Shows what is written from now on, too.").short('f')),
    ]
}

fn process_verbs() -> Vec<Command> {
    let folder = || value("dir", "DIR", "Where it keeps what it needs (~/.tidegate).").long("dir");
    let slots =
        || value("slots", "N", "How many subtasks of a job a TaskManager takes.").long("slots");
    let insecure = || {
        flag(
            "insecure",
            "Asks nobody for a token that no option sets: whoever reaches it may do anything.",
        )
    };
    let take_over = || {
        flag(
            "take-over",
            "Takes over from a JobManager that is alive, instead of waiting for its end.",
        )
        .long("take-over")
    };
    vec![
        verb("jobmanager", "Runs a JobManager.").arg(folder()).arg(insecure()).arg(take_over()),
        verb("taskmanager", "Runs a TaskManager.").arg(folder()).arg(slots()),
        verb("cluster", "Runs a JobManager and TaskManagers on this machine.")
            .arg(
                value(
                    "action",
                    "start|stop|login",
                    "What to do; login prints a URL that lets a browser in, once.",
                )
                .required(true)
                .value_parser(["start", "stop", "login"]),
            )
            .arg(value("taskmanagers", "N", "How many TaskManagers.").long("taskmanagers"))
            .arg(slots())
            .arg(folder())
            .arg(insecure())
            .arg(take_over())
            .arg(flag("foreground", "Stays in the foreground.")),
        state_verbs(),
        Command::new("completions")
            .about("Writes a script that completes commands in a shell.")
            .arg(value("shell", "SHELL", "bash, zsh, fish, elvish or powershell.").required(true)),
    ]
}

/// What looks into snapshots.
fn state_verbs() -> Command {
    let verb = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .arg(flag("json", "Prints JSON."))
            .arg(flag("verbose", "Shows the whole chain of causes of an error."))
    };
    let path =
        || value("path", "PATH", "The savepoint or checkpoint: a folder or URL.").required(true);
    let from = || value("a", "A", "A savepoint or checkpoint.").required(true);
    let to = |help: &'static str| value("b", "B", help).required(true);
    Command::new("state")
        .about("Looks into savepoints and checkpoints, without the job.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            verb("ls", "Lists operators and states, with rows, bytes and types.").arg(path()),
            verb("schema", "Shows the columns of each state.").arg(path()),
            verb("show", "Shows the rows of a state.")
                .arg(path())
                .arg(value("uid", "UID", "The operator.").long("uid"))
                .arg(value("state", "NAME", "The state.").long("state"))
                .arg(value("key", "KEY", "This key alone, as JSON or as a text.").long("key"))
                .arg(value("limit", "N", "How many rows, or all (20).").long("limit"))
                .arg(flag("csv", "Prints CSV.").conflicts_with("json")),
            // A program of its own, which has its own help.
            Command::new("query")
                .about("Answers a question in SQL, with the program tidegate-state.")
                .disable_help_flag(true)
                .arg(
                    value("arguments", "ARGUMENTS", "See `tidegate state query --help`.")
                        .num_args(0..)
                        .trailing_var_arg(true)
                        .allow_hyphen_values(true)
                        .value_parser(value_parser!(OsString)),
                ),
            verb("diff", "Shows what differs between two snapshots.")
                .arg(from())
                .arg(to("Another one."))
                .arg(value("limit", "N", "How many samples of each kind (5).").long("limit")),
            verb("verify", "Checks every file, and every key's group.").arg(path()),
            verb("copy", "Copies a snapshot, and checks the copy.")
                .arg(from())
                .arg(to("The folder or URL of the copy.")),
            verb("convert", "Writes a snapshot in the other form.")
                .arg(from())
                .arg(to("The folder or URL of what is written."))
                .arg(value("type", "canonical|native", "The form.").long("type")),
            verb("sweep", "Deletes files of snapshots that no manifest names.")
                .arg(
                    value("path", "DIR", "A folder of checkpoints or savepoints, or one of them.")
                        .required(true),
                )
                .arg(flag("dry-run", "Deletes nothing, and says what it would."))
                .arg(flag("all", "What is younger than an hour too: only if no job writes there.")),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(arguments: &[&str]) -> clap::ArgMatches {
        let arguments = normalised(arguments.iter().map(|argument| OsString::from(*argument)));
        command().try_get_matches_from(arguments).expect("it is a command line")
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn what_follows_the_binary_is_the_jobs() {
        let all = matches(&["run", "-d", "-p", "2", "job", "--rate", "5", "-p", "9"]);
        let (_, run) = all.subcommand().expect("a verb");
        assert!(run.get_flag("detached"));
        assert_eq!(run.get_one::<String>("parallelism").map(String::as_str), Some("2"));
        let own = run.get_many::<String>("arguments").expect("there are some");
        assert_eq!(own.collect::<Vec<_>>(), ["--rate", "5", "-p", "9"]);
    }

    #[test]
    fn flinks_long_options_with_one_dash_are_understood() {
        let all = matches(&["savepoint", "-detached", "-type", "NATIVE", "0a", "/tmp"]);
        let (_, savepoint) = all.subcommand().expect("a verb");
        assert!(savepoint.get_flag("detached"));
        assert_eq!(savepoint.get_one::<String>("target").map(String::as_str), Some("/tmp"));
    }

    #[test]
    fn the_jobs_own_arguments_stay_as_they_are() {
        let own = ["-type", "csv", "-full", "-json", "-cm", "--help"];
        let all =
            matches(&[["run", "-c", "Main", "-parallelism", "3", "job"].as_slice(), &own].concat());
        let (_, run) = all.subcommand().expect("a verb");
        assert_eq!(run.get_one::<String>("parallelism").map(String::as_str), Some("3"));
        assert_eq!(run.get_many::<String>("arguments").expect("some").collect::<Vec<_>>(), own);
    }

    #[test]
    fn what_another_program_is_handed_stays_as_it_is() {
        let handed = ["--", "-json", "--help", "-h", "", "state", "--", "query"];
        let all = matches(&[["state", "query"].as_slice(), &handed].concat());
        let (_, state) = all.subcommand().expect("a verb");
        let (_, query) = state.subcommand().expect("a verb of state's");
        let arguments = query.get_many::<OsString>("arguments").expect("some");
        assert_eq!(arguments.collect::<Vec<_>>(), handed);
    }

    #[test]
    fn a_savepoint_is_disposed_with_one_dash_or_two() {
        for name in ["-dispose", "--dispose", "-d"] {
            let all = matches(&["savepoint", name, "/tmp/savepoint"]);
            let (_, savepoint) = all.subcommand().expect("a verb");
            let path = savepoint.get_one::<String>("dispose").map(String::as_str);
            assert_eq!(path, Some("/tmp/savepoint"), "{name}");
        }
    }

    #[test]
    fn an_optional_folder_may_be_left_out() {
        for arguments in [["stop", "-p", "0a"], ["stop", "-s", "0a"]] {
            let all = matches(&arguments);
            let (_, stop) = all.subcommand().expect("a verb");
            assert_eq!(stop.get_one::<String>("savepointPath").map(String::as_str), Some("0a"));
            assert!(stop.get_one::<String>("job").is_none());
        }
        let all = matches(&["stop", "-p", "/tmp", "0a"]);
        let (_, stop) = all.subcommand().expect("a verb");
        assert_eq!(stop.get_one::<String>("job").map(String::as_str), Some("0a"));
    }
}
