//! A function per verb.

mod jobs;
mod logs;
mod processes;
mod run;
mod snapshots;
mod state;
mod tokens;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use serde_json::Value;
use tidegate_protocol::configuration_folder;
use tidegate_types::{
    JobId,
    options::{ClusterOptions, Configuration, Origin, SECRETS_VARIABLE},
};

use crate::client::Client;

/// Why a verb did not succeed.
pub(crate) enum Failure {
    /// The command line is wrong.
    Arguments(String),
    /// The options are.
    Configuration(anyhow::Error),
    /// Anything else.
    Other(anyhow::Error),
    /// With an exit code of its own.
    Coded(u8, anyhow::Error),
    /// Nothing that there is more to say of than this exit code.
    Exit(u8),
}

impl Failure {
    fn into_error(self) -> anyhow::Error {
        match self {
            Self::Arguments(message) => anyhow!(message),
            Self::Configuration(error) | Self::Other(error) | Self::Coded(_, error) => error,
            Self::Exit(code) => anyhow!("the process ends with {code}"),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

type Done = Result<(), Failure>;

/// Does what the command line says.
pub(crate) async fn run(matches: &ArgMatches) -> Done {
    let Some((verb, own)) = matches.subcommand() else { return Ok(()) };
    match verb {
        "run" => run::run(own).await,
        "info" => run::info(own).await,
        "list" => jobs::list(own).await,
        "rescale" => jobs::rescale(own).await,
        "logs" => logs::logs(own).await,
        "cancel" => snapshots::cancel(own).await,
        "savepoint" => snapshots::savepoint(own).await,
        "stop" => snapshots::stop(own).await,
        "checkpoint" => snapshots::checkpoint(own).await,
        "checkpoints" => snapshots::checkpoints(own).await,
        "jobmanager" => processes::jobmanager(own).await,
        "taskmanager" => processes::taskmanager(own).await,
        "cluster" => processes::cluster(own).await,
        "completions" => completions(own),
        "state" => state::run(own).await,
        other => Err(Failure::Arguments(format!("\"{other}\" is not a valid action."))),
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The options of a command: from `-D`, the environment, and files.
fn configuration(matches: &ArgMatches) -> Result<Configuration, Failure> {
    read_configuration(matches).map_err(Failure::Configuration)
}

fn read_configuration(matches: &ArgMatches) -> anyhow::Result<Configuration> {
    let mut configuration = Configuration::new();
    for pair in matches.get_many::<String>("option").into_iter().flatten() {
        configuration.set_pair(pair)?;
    }
    if let Some(secrets) = std::env::var_os(SECRETS_VARIABLE) {
        let secrets = secrets.into_encoded_bytes();
        let secrets = serde_json::from_slice::<BTreeMap<String, String>>(&secrets);
        let secrets = secrets.with_context(|| format!("{SECRETS_VARIABLE} can't be read"))?;
        for (key, value) in secrets {
            let option = format!("-D {key}");
            configuration.set(&key, &value, Origin::CommandLine { option });
        }
    }
    configuration.add_environment(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    );
    let named = text(matches, "config").map(PathBuf::from);
    if let Some(file) = named.or_else(default_file) {
        let shown = file.display().to_string();
        let read = std::fs::read_to_string(&file);
        configuration.add_yaml(&read.with_context(|| format!("cannot read {shown}"))?, &shown)?;
    }
    Ok(configuration)
}

/// The file that is read when none is named, if it is there: config.yaml in `TIDEGATE_CONF_DIR`, or
/// where clusters are kept by default.
fn default_file() -> Option<PathBuf> {
    Some(configuration_folder()?.join("config.yaml")).filter(|file| file.is_file())
}

/// Where clusters are kept unless `--dir` says otherwise.
fn default_folder() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".tidegate"));
    std::env::var_os("TIDEGATE_HOME").map(PathBuf::from).or_else(home)
}

/// A client of the JobManager that the command line or the options name.
fn client(matches: &ArgMatches) -> Result<Client, Failure> {
    let options = ClusterOptions::from_configuration(&configuration(matches)?);
    let options = options.map_err(|error| Failure::Configuration(error.into()))?;
    let address = match text(matches, "jobmanager") {
        Some(address) => address.to_owned(),
        None => format!("{}:{}", options.rest_address, options.rest_port),
    };
    let timeout = options.client_timeout.max(Duration::from_millis(1));
    let token = tokens::of_client(&options, &address).map_err(Failure::Configuration)?;
    Ok(Client::new(&address, token, timeout)?)
}

/// A job's id.
fn job_id(text: &str) -> Result<JobId, Failure> {
    text.parse().map_err(|_| {
        Failure::Arguments(format!(
            "Cannot parse JobID from \"{text}\". The expected format is [0-9a-fA-F]{{32}}, e.g. \
             fd72014d4c864993a2e5a9287b4a9c5d."
        ))
    })
}

/// How many subtasks, from the command line.
fn parallelism(text: &str) -> Result<u32, Failure> {
    let count = text.parse::<u32>().ok().filter(|count| *count > 0);
    count.ok_or_else(|| {
        Failure::Arguments(format!("The parallelism must be a positive number: {text}."))
    })
}

/// Writes a script that completes this command line in a shell.
fn completions(matches: &ArgMatches) -> Done {
    let shell = text(matches, "shell").unwrap_or_default();
    let shell = shell.parse::<clap_complete::Shell>().map_err(Failure::Arguments)?;
    let mut command = crate::arguments::command();
    clap_complete::generate(shell, &mut command, "tidegate", &mut std::io::stdout());
    Ok(())
}

/// Tells a person what is going on.
fn say(matches: &ArgMatches, line: &str) {
    if !matches.get_flag("json") {
        println!("{line}");
    }
}

/// Prints an answer as JSON, if that was asked for.
fn printed_json(matches: &ArgMatches, answer: &Value) -> bool {
    let json = matches.get_flag("json");
    if json {
        println!("{answer}");
    }
    json
}

fn field<'a>(answer: &'a Value, name: &str) -> Result<&'a str, Failure> {
    let value = answer[name].as_str();
    Ok(value.ok_or_else(|| anyhow!("the JobManager's answer has no `{name}`: {answer}"))?)
}

/// A folder as the JobManager understands it, which may run in another one.
fn absolute(folder: &str) -> String {
    tidegate_storage::absolute(folder)
}
