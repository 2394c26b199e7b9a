//! The command line: Flink's verbs and flags, long ones with one dash or two.

use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, error::ErrorKind};

/// What follows every message about the command line.
pub(crate) const HINT: &str = "Use the help option (-h or --help) to get help on the command.";

/// Flink's long options that have one dash.
const SINGLE_DASH: [(&str, &str); 8] = [
    ("-detached", "--detached"),
    ("-type", "--type"),
    ("-full", "--full"),
    ("-cm", "--claimMode"),
    ("-json", "--json"),
    ("-drain", "--drain"),
    ("-help", "--help"),
    ("-version", "--version"),
];

/// The arguments as clap understands them. What follows the binary of `run` is the job's own.
pub(crate) fn normalised(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = vec!["tidegate".to_owned()];
    for argument in arguments {
        let long = SINGLE_DASH.iter().find(|(single, _)| *single == argument);
        all.push(long.map_or(argument, |(_, double)| (*double).to_owned()));
    }
    all
}

/// Says what is wrong with a command line, or what was asked for.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            println!("{error}\nPlease specify an action.");
            ExitCode::FAILURE
        }
        ErrorKind::InvalidSubcommand => {
            let verb = error.get(clap::error::ContextKind::InvalidSubcommand);
            let verb = verb.map(ToString::to_string).unwrap_or_default();
            println!("\"{verb}\" is not a valid action.\n");
            println!(
                "Valid actions are \"run\", \"list\", \"info\", \"savepoint\", \"stop\", \
                 \"cancel\", \"checkpoint\", \"checkpoints\", \"jobmanager\", \"taskmanager\", or \
                 \"cluster\"."
            );
            ExitCode::FAILURE
        }
        _ => {
            println!("{error}\n{HINT}");
            ExitCode::FAILURE
        }
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

fn snapshot_type() -> Arg {
    value("type", "native", "The savepoint's form.").long("type").ignore_case(true)
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
                value("claimMode", "claim|no_claim", "Whether the job takes the snapshot over.")
                    .long("claimMode")
                    .alias("claim-mode"),
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
            .arg(flag("detached", "Does not wait for it.")),
        verb("cancel", "Cancels a job.").arg(job()).arg(
            value("withSavepoint", "DIR", "Takes a savepoint before (deprecated: use stop).")
                .short('s')
                .long("withSavepoint")
                .num_args(0..=1),
        ),
        verb("checkpoint", "Takes a checkpoint.")
            .arg(job())
            .arg(flag("full", "A full one, as all are.")),
        verb("checkpoints", "Shows a job's checkpoints.").arg(job().required(true)),
    ]
}

fn process_verbs() -> Vec<Command> {
    let folder = || value("dir", "DIR", "Where it keeps what it needs (~/.tidegate).").long("dir");
    let slots =
        || value("slots", "N", "How many subtasks of a job a TaskManager takes.").long("slots");
    let insecure =
        || flag("insecure", "Listens on other addresses than this machine's own without a token.");
    vec![
        verb("jobmanager", "Runs a JobManager.").arg(folder()).arg(insecure()),
        verb("taskmanager", "Runs a TaskManager.").arg(folder()).arg(slots()),
        verb("cluster", "Runs a JobManager and TaskManagers on this machine.")
            .arg(
                value("action", "start|stop", "What to do.")
                    .required(true)
                    .value_parser(["start", "stop"]),
            )
            .arg(value("taskmanagers", "N", "How many TaskManagers.").long("taskmanagers"))
            .arg(slots())
            .arg(folder())
            .arg(insecure())
            .arg(flag("foreground", "Stays in the foreground.")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(arguments: &[&str]) -> clap::ArgMatches {
        let arguments = normalised(arguments.iter().map(|argument| (*argument).to_owned()));
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
