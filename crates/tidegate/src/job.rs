//! A job: its name, its defaults, and how it is run.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::{Arc, Once},
};

use tidegate_core::plan::SharedPlan;
use tidegate_runtime::{
    ClusterSpec, JobError, JobHandle, JobResult, JobSettings, JobSpec, JobStatus, PROCESS_VARIABLE,
    secret_of_processes,
};
use tidegate_types::{
    ErrorKind, JobId,
    options::{ClusterOptions, Configuration, JobOptions, Origin},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    Result, cli,
    cli::CommandLine,
    env::Env,
    live::LiveLine,
    role::{self, Role},
    signals::{Foreground, Listener, TERMINATED},
};

/// What a job's closure is: it builds the streams, on every worker the same way.
pub trait JobBuild: Fn(&Env) -> Result<()> + Send + Sync + 'static {}

impl<F: Fn(&Env) -> Result<()> + Send + Sync + 'static> JobBuild for F {}

/// The exit code for a command line or configuration that is wrong.
const USAGE: u8 = 2;
/// The exit code of a run that another one of the same job keeps from starting, or has taken over.
const SUPERSEDED: u8 = 3;

/// A job, to be run from a `main`, or to be started by a program or a test.
#[derive(Clone, Debug)]
pub struct Job {
    name: String,
    defaults: Configuration,
    live_line: bool,
    own_help: Option<String>,
}

impl Job {
    /// A job with this name. Its id, by which its snapshots are found, follows from the name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let defaults = Configuration::new();
        Self { name: name.into(), defaults, live_line: false, own_help: None }
    }

    /// Sets an option as this job's default, which counts less than anything that its user says.
    #[must_use]
    pub fn default_option(mut self, key: &str, value: impl ToString) -> Self {
        self.defaults.set(key, &value.to_string(), Origin::Program);
        self
    }

    /// Shows a live line while the job runs, if standard error is a terminal.
    #[must_use]
    pub fn live_line(mut self) -> Self {
        self.live_line = true;
        self
    }

    /// What `--help` says of the job's own arguments.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.own_help = Some(text.into());
        self
    }

    /// The job's own arguments among those of this process, for what has to be known before the
    /// job is run. A command line that is wrong has none; [`Job::run`] says what is wrong with it.
    #[must_use]
    pub fn own_arguments() -> Vec<String> {
        // What a TaskManager has started is bound to it from here on; `Job::run` says what is wrong.
        let _ = Role::from_environment();
        cli::parse(process_arguments()).map(|line| line.rest).unwrap_or_default()
    }

    /// Whether [`Job::run`] would start it from nothing: not from a snapshot, not with a command
    /// line that is wrong, not to print help or to tell what a restore would do, not as another
    /// process than the first of several, not for a JobManager, and not while another run of it is
    /// alive. Only then may results of an earlier run be cleared away.
    #[must_use]
    pub fn starts_afresh(&self) -> bool {
        if !matches!(Role::from_environment(), Ok(Role::Embedded)) {
            return false;
        }
        let Ok(line) = cli::parse(process_arguments()) else { return false };
        let is_first = line.process_index.as_deref().is_none_or(|index| index == "0");
        let configuration = self.configuration(&line).ok();
        let options = configuration.and_then(|all| JobOptions::from_configuration(&all).ok());
        let alone = |options: JobOptions| {
            let settings = self.settings(&line, options).ok()?;
            tidegate_runtime::running(&settings).is_none().then_some(())
        };
        !line.help
            && !line.dry_run
            && is_first
            && options.filter(|options| options.recovery.path.is_none()).and_then(alone).is_some()
    }

    fn settings(
        &self,
        line: &CommandLine,
        options: JobOptions,
    ) -> std::result::Result<JobSettings, JobError> {
        let id = match &line.job_id {
            Some(text) => text.parse().map_err(|error| invalid(format!("--job-id: {error}")))?,
            None => JobId::from_name(&self.name),
        };
        Ok(JobSettings {
            name: self.name.clone(),
            id,
            parallelism: options.parallelism,
            max_parallelism: options.max_parallelism,
            options,
        })
    }

    /// Runs the job with this process's arguments to its end, and gives the exit code: 0 for a
    /// good end, 1 for a failure, 2 for a wrong command line or configuration, 3 if another run of the
    /// job is alive or has taken it over, 143 if SIGTERM has ended it. A process that a TaskManager has
    /// started as one of the job's ends in here.
    pub fn run(self, build: impl JobBuild) -> ExitCode {
        self.run_and(build, |_| Ok(()))
    }

    /// As [`Job::run`], with something to do after a good end.
    pub fn run_and(
        self,
        build: impl JobBuild,
        then: impl FnOnce(&JobResult) -> Result<()>,
    ) -> ExitCode {
        let role = Role::from_environment();
        let signals = matches!(role, Ok(Role::Embedded)).then(Listener::start);
        let line = match cli::parse(process_arguments()) {
            Ok(line) => line,
            Err(problem) => return usage(&format!("{problem} (--help tells more)")),
        };
        if line.help {
            let program = std::env::args_os().next().unwrap_or_else(|| self.name.clone().into());
            return say(&cli::help(&program.to_string_lossy(), self.own_help.as_deref()));
        }
        start_logging();
        let (role, configuration) =
            match role.and_then(|role| Ok((role, self.configuration(&line)?))) {
                Ok(known) => known,
                Err(error) => return usage(&error.to_string()),
            };
        let dry_run = line.dry_run && matches!(role, Role::Embedded);
        let spec = match self.spec(line, &configuration, build) {
            Ok(spec) => spec,
            Err(error) => return usage(&error.to_string()),
        };
        if dry_run {
            return match tidegate_runtime::dry_run(&spec) {
                Ok(outcome) if outcome.max_parallelism.is_some() => say(&outcome.to_string()),
                Ok(outcome) => {
                    say(&outcome.to_string());
                    ExitCode::FAILURE
                }
                Err(error) => fail(&error.to_string()),
            };
        }
        let done = match role {
            Role::Describe(path) => role::describe(&spec, &configuration, &path),
            Role::Process(seat) => {
                let done = tidegate_runtime::run_process(spec, *seat);
                // Whatever hangs in user code, on a thread or behind this call, ends with it.
                std::process::exit(done.map_or_else(|error| failed(&error.to_string()), |()| 0));
            }
            Role::Embedded => {
                let signals = signals.unwrap_or_else(Listener::start);
                let result = self.run_watched(spec, &signals);
                if signals.terminated()
                    && !matches!(&result, Ok(result) if result.status == JobStatus::Finished)
                {
                    return terminated(result);
                }
                result.and_then(|result| {
                    then(&result)
                        .map_err(|error| JobError::caused_by(ErrorKind::User, error.as_ref()))
                })
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.kind() == ErrorKind::Fenced => {
                failed(&error.to_string());
                ExitCode::from(SUPERSEDED)
            }
            Err(error) => fail(&error.to_string()),
        }
    }

    /// Runs the job with these arguments to its end.
    ///
    /// # Errors
    ///
    /// Why it did not start, or failed for good.
    pub fn try_run<A: Into<String>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        build: impl JobBuild,
    ) -> std::result::Result<JobResult, JobError> {
        tidegate_runtime::run(self.parsed(arguments, build)?)
    }

    /// Starts the job with these arguments.
    ///
    /// # Errors
    ///
    /// Why it does not start.
    pub fn start<A: Into<String>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        build: impl JobBuild,
    ) -> std::result::Result<JobHandle, JobError> {
        tidegate_runtime::start(self.parsed(arguments, build)?)
    }

    /// What these arguments would run, for whoever runs it elsewhere than in this process.
    ///
    /// # Errors
    ///
    /// What is wrong with the arguments.
    pub fn parsed<A: Into<String>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        build: impl JobBuild,
    ) -> std::result::Result<JobSpec, JobError> {
        let line = cli::parse(arguments.into_iter().map(Into::into)).map_err(invalid)?;
        let configuration = self.configuration(&line)?;
        self.spec(line, &configuration, build)
    }

    fn spec(
        &self,
        line: CommandLine,
        configuration: &Configuration,
        build: impl JobBuild,
    ) -> std::result::Result<JobSpec, JobError> {
        for warning in configuration.warnings() {
            tracing::warn!("{}", warning.message);
        }
        let options = JobOptions::from_configuration(configuration)
            .map_err(|error| invalid(error.to_string()))?;
        let settings = self.settings(&line, options.clone())?;
        let cluster = cluster(&line, configuration)?;
        let arguments: Arc<[String]> = line.rest.into();
        let shared = Arc::new(options);
        Ok(JobSpec {
            settings,
            build: Arc::new(move |plan: &SharedPlan| {
                build(&Env::new(plan, Arc::clone(&arguments), Arc::clone(&shared)))
            }),
            cluster,
        })
    }

    /// The job's defaults, under files, under the environment, under the command line.
    fn configuration(&self, line: &CommandLine) -> std::result::Result<Configuration, JobError> {
        let mut configuration = line.configuration.clone();
        // What is not UTF-8 is no option: `std::env::vars` would panic over it.
        configuration.add_environment(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
        for file in &line.config_files {
            let text = std::fs::read_to_string(file)
                .map_err(|error| invalid(format!("--config: cannot read {file}: {error}")))?;
            let added = configuration.add_yaml(&text, file);
            added.map_err(|error| invalid(error.to_string()))?;
        }
        configuration.add_defaults(&self.defaults);
        role::add_overrides(&mut configuration)?;
        Ok(configuration)
    }

    fn run_watched(
        &self,
        spec: JobSpec,
        signals: &Listener,
    ) -> std::result::Result<JobResult, JobError> {
        let follows = spec.cluster.as_ref().is_some_and(|cluster| cluster.process > 0);
        let termination_timeout = spec.settings.options.termination_timeout;
        let handle = tidegate_runtime::start(spec)?;
        signals.running(Foreground { handle: handle.clone(), follows, termination_timeout });
        let live = self.live_line.then(|| LiveLine::start(&handle)).flatten();
        let result = handle.wait_blocking();
        if let Some(live) = live {
            live.finish();
        }
        let result = result?;
        if result.status == JobStatus::Canceled {
            return Err(JobError::new(ErrorKind::User, "the job was cancelled"));
        }
        Ok(result)
    }
}

/// This process's arguments without its own name. What is not UTF-8 is no argument of Tidegate's and
/// is handed on as well as it can be.
fn process_arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned())
}

fn invalid(message: String) -> JobError {
    JobError::new(ErrorKind::Invalid, message)
}

fn cluster(
    line: &CommandLine,
    configuration: &Configuration,
) -> std::result::Result<Option<ClusterSpec>, JobError> {
    match (&line.process_index, &line.addresses, &line.coordinator) {
        (None, None, None) => Ok(None),
        (Some(index), Some(addresses), Some(coordinator)) => {
            let process = index.parse::<u32>().map_err(|_| {
                invalid(format!("--process-index: `{index}` is not a number from 0"))
            })?;
            let addresses = addresses.split(',').map(str::trim).collect::<Vec<_>>();
            if process as usize >= addresses.len() {
                return Err(invalid(format!(
                    "--process-index is {process}, and --addresses names {} processes, from 0",
                    addresses.len()
                )));
            }
            let options = ClusterOptions::from_configuration(configuration)
                .map_err(|error| invalid(error.to_string()))?;
            let all = [addresses.as_slice(), &[coordinator.as_str()]].concat();
            let secret = secret_of_processes(options.cluster_token, &all)?;
            Ok(Some(ClusterSpec {
                process,
                addresses: addresses.into_iter().map(str::to_owned).collect(),
                coordinator: coordinator.clone(),
                secret: Some(secret),
            }))
        }
        _ => Err(invalid(
            "--process-index, --addresses and --coordinator belong together: give all of them, or \
             none for a single process"
                .to_owned(),
        )),
    }
}

/// Logs to standard error; `TIDEGATE_LOG` says what. By default that is warnings, and more in a
/// cluster, where `tidegate logs` shows it.
fn start_logging() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let wanted = std::env::var("TIDEGATE_LOG").unwrap_or_else(|_| {
            if std::env::var_os(PROCESS_VARIABLE).is_some() { "info" } else { "warn" }.to_owned()
        });
        let filter = wanted.parse().unwrap_or_else(|problem| {
            eprintln!("warning: TIDEGATE_LOG is `{wanted}`, which is no filter: {problem}");
            Targets::new().with_default(LevelFilter::WARN)
        });
        // Colours are for a terminal: a log file is to be searched.
        let colours = std::io::stderr().is_terminal();
        let log = tracing_subscriber::fmt::layer().with_ansi(colours);
        let log = log.with_writer(std::io::stderr);
        tracing_subscriber::registry().with(filter).with(log).init();
    });
}

/// The end of a process that SIGTERM has ended.
fn terminated(result: std::result::Result<JobResult, JobError>) -> ExitCode {
    match result {
        Ok(result) => {
            let latest = result.stats.completed.last();
            let latest = latest.map_or_else(String::new, |last| format!(" with {}", last.path));
            eprintln!("the job has ended for now{latest}; `--from-savepoint latest` goes on");
        }
        Err(error) => eprintln!("the job has ended for now: {error}"),
    }
    ExitCode::from(TERMINATED)
}

fn say(text: &str) -> ExitCode {
    // Who has closed the pipe has read enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(USAGE)
}

fn fail(problem: &str) -> ExitCode {
    failed(problem);
    ExitCode::FAILURE
}

/// Says what is wrong, and gives the code of a failure.
fn failed(problem: &str) -> i32 {
    eprintln!("error: {problem}");
    1
}

#[cfg(test)]
mod tests;
