//! The command line that every job binary has: one definition per flag holds its names, what it
//! takes, what it does, and what it sets.

use tidegate_types::options::{Configuration, Origin};

/// What is told about Tidegate's part of a command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CommandLine {
    /// Options, from `-D` and from flags that stand for one.
    pub(crate) configuration: Configuration,
    pub(crate) config_files: Vec<String>,
    pub(crate) job_id: Option<String>,
    pub(crate) process_index: Option<String>,
    pub(crate) addresses: Option<String>,
    pub(crate) coordinator: Option<String>,
    pub(crate) dry_run: bool,
    pub(crate) help: bool,
    /// Everything else, in order: the job's own arguments.
    pub(crate) rest: Vec<String>,
}

/// What a flag does with its value.
#[derive(Clone, Copy)]
enum Effect {
    /// Sets an option.
    Option(&'static str),
    /// Sets an option to `true`; it takes no value.
    Switch(&'static str),
    /// Takes `key=value`.
    Define,
    /// Names a file.
    Config,
    JobId,
    ProcessIndex,
    Addresses,
    Coordinator,
    DryRun,
    Help,
}

/// A flag.
struct Flag {
    names: &'static [&'static str],
    value: &'static str,
    help: &'static str,
    effect: Effect,
}

const FLAGS: &[Flag] = &[
    Flag {
        names: &["--parallelism", "-p"],
        value: "N",
        help: "How many subtasks each operator has (parallelism.default).",
        effect: Effect::Option("parallelism.default"),
    },
    Flag {
        names: &["--config"],
        value: "FILE",
        help: "Read options from a config.yaml.",
        effect: Effect::Config,
    },
    Flag {
        names: &["-D"],
        value: "KEY=VALUE",
        help: "Set an option; may be given many times, and wins over the file.",
        effect: Effect::Define,
    },
    Flag {
        names: &["--from-savepoint", "-s"],
        value: "PATH|latest",
        help: "Start from a savepoint or retained checkpoint, or from the job's own latest one.",
        effect: Effect::Option("execution.state-recovery.path"),
    },
    Flag {
        names: &["--claim-mode"],
        value: "claim|no_claim",
        help: "Whether the job takes that snapshot over and deletes it when it is subsumed.",
        effect: Effect::Option("execution.state-recovery.claim-mode"),
    },
    Flag {
        names: &["--allow-non-restored-state", "-n"],
        value: "",
        help: "Leave state behind whose operator the program does not have any more.",
        effect: Effect::Switch("execution.state-recovery.ignore-unclaimed-state"),
    },
    Flag {
        names: &["--allow-lost-output"],
        value: "",
        help: "Go on although a target has lost what the snapshot says was prepared for it.",
        effect: Effect::Switch("execution.state-recovery.allow-lost-output"),
    },
    Flag {
        names: &["--verify"],
        value: "",
        help: "Read and check all of that snapshot before the job starts.",
        effect: Effect::Switch("execution.state-recovery.verify"),
    },
    Flag {
        names: &["--take-over"],
        value: "",
        help: "Take the job over from another run of it that is alive; that one ends with code 3.",
        effect: Effect::Switch("execution.take-over"),
    },
    Flag {
        names: &["--dry-run"],
        value: "",
        help: "Tell what a restore would do, state by state, and start nothing.",
        effect: Effect::DryRun,
    },
    Flag {
        names: &["--job-id"],
        value: "HEX",
        help: "The job's id, 32 hexadecimal digits; by default it follows from the job's name.",
        effect: Effect::JobId,
    },
    Flag {
        names: &["--process-index"],
        value: "I",
        help: "Which of several processes this one is, from 0.",
        effect: Effect::ProcessIndex,
    },
    Flag {
        names: &["--addresses"],
        value: "HOST:PORT,…",
        help: "Where each of the processes listens for records.",
        effect: Effect::Addresses,
    },
    Flag {
        names: &["--coordinator"],
        value: "HOST:PORT",
        help: "Where the first process's coordinator listens.",
        effect: Effect::Coordinator,
    },
    Flag { names: &["--help", "-h"], value: "", help: "Print this and end.", effect: Effect::Help },
];

/// Splits a command line into Tidegate's part and the job's own. What follows `--` is the job's.
///
/// # Errors
///
/// A sentence that says which flag lacks a value, or what is wrong with one.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<CommandLine, String> {
    let mut line = CommandLine::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            line.rest.extend(arguments);
            break;
        }
        let Some((flag, name, attached)) = find(&argument) else {
            line.rest.push(argument);
            continue;
        };
        let takes_value = !flag.value.is_empty();
        let value = match attached {
            Some(_) if !takes_value => return Err(format!("{name} takes no value")),
            Some(value) => value.to_owned(),
            None if takes_value => arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value: {name} {}", flag.value))?,
            None => String::new(),
        };
        line.apply(flag.effect, name, value)?;
    }
    Ok(line)
}

/// The flag that an argument is, with its name as given and a value that is attached to it:
/// `--name=value`, `-Dkey=value`, `-p4`.
fn find(argument: &str) -> Option<(&'static Flag, &'static str, Option<&str>)> {
    FLAGS.iter().find_map(|flag| {
        flag.names.iter().find_map(|name| {
            let rest = argument.strip_prefix(name)?;
            let is_long = name.starts_with("--");
            match rest {
                "" => Some((flag, *name, None)),
                _ if is_long => Some((flag, *name, Some(rest.strip_prefix('=')?))),
                _ if flag.value.is_empty() => None,
                // `-s` must not swallow a job's own `-size`.
                _ if *name == "-D"
                    || rest.starts_with(|c: char| c.is_ascii_digit() || c == '=') =>
                {
                    Some((flag, *name, Some(rest.strip_prefix('=').unwrap_or(rest))))
                }
                _ => None,
            }
        })
    })
}

impl CommandLine {
    fn apply(&mut self, effect: Effect, name: &str, value: String) -> Result<(), String> {
        let origin = || Origin::CommandLine { option: name.to_owned() };
        match effect {
            Effect::Option(key) => self.configuration.set(key, &value, origin()),
            Effect::Switch(key) => self.configuration.set(key, "true", origin()),
            Effect::Define => {
                self.configuration.set_pair(&value).map_err(|error| error.to_string())?;
            }
            Effect::Config => self.config_files.push(value),
            Effect::JobId => self.job_id = Some(value),
            Effect::ProcessIndex => self.process_index = Some(value),
            Effect::Addresses => self.addresses = Some(value),
            Effect::Coordinator => self.coordinator = Some(value),
            Effect::DryRun => self.dry_run = true,
            Effect::Help => self.help = true,
        }
        Ok(())
    }
}

/// The text of `--help`; `own` tells of the job's own arguments.
pub(crate) fn help(program: &str, own: Option<&str>) -> String {
    let mut text = format!("Usage: {program} [OPTIONS] [ARGUMENTS OF THE JOB]\n\nOptions:\n");
    for flag in FLAGS {
        let names = flag.names.join(", ");
        let left = format!("{names} {}", flag.value);
        text.push_str(&format!("  {:<38} {}\n", left.trim_end(), flag.help));
    }
    if let Some(own) = own {
        text.push_str(&format!("\nArguments of the job:\n{}\n", own.trim_end()));
    }
    text.push_str(
        "\nEvery option of docs/options.md can be set with -D, in a config.yaml, or in the \
         environment\nas TIDEGATE_EXECUTION_CHECKPOINTING_INTERVAL and the like. A running job takes \
         a savepoint\non SIGUSR1, is cancelled by Ctrl-C, and ends on SIGTERM with one more checkpoint, which is \
         kept.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> CommandLine {
        parse(arguments.iter().map(|argument| (*argument).to_owned())).expect("parses")
    }

    #[test]
    fn what_is_not_known_is_left_to_the_job_in_order() {
        let line = parsed(&["--rate", "5", "-p", "4", "x", "-size", "--", "--parallelism", "9"]);
        assert_eq!(line.rest, ["--rate", "5", "x", "-size", "--parallelism", "9"]);
        assert!(line.configuration.is_set("parallelism.default"));
    }

    #[test]
    fn values_may_be_attached() {
        let line = parsed(&["-Da.b=c", "--from-savepoint=latest", "-p4", "--job-id=00", "-n"]);
        assert!(line.configuration.is_set("a.b"));
        assert!(line.configuration.is_set("execution.state-recovery.path"));
        assert!(line.configuration.is_set("execution.state-recovery.ignore-unclaimed-state"));
        assert_eq!(line.job_id.as_deref(), Some("00"));
    }

    #[test]
    fn a_flag_without_its_value_is_named() {
        let error = parse(["--config".to_owned()]).expect_err("no value");
        assert_eq!(error, "--config needs a value: --config FILE");
        let error = parse(["--help=x".to_owned()]).expect_err("takes none");
        assert_eq!(error, "--help takes no value");
    }
}
