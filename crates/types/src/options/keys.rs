//! Every option: its key, default, form and meaning. Documentation is generated from here.

/// An option as a person sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigOption {
    /// Flink's key.
    pub key: &'static str,
    /// The default as text, `none` if there is none.
    pub default: &'static str,
    /// What values look like.
    pub form: &'static str,
    /// What it does.
    pub doc: &'static str,
}

macro_rules! options {
    ($($name:ident: $key:literal, $default:literal, $form:literal, $doc:literal;)*) => {
        $(
            #[doc = concat!("`", $key, "`: ", $doc)]
            pub(super) const $name: ConfigOption =
                ConfigOption { key: $key, default: $default, form: $form, doc: $doc };
        )*

        /// Every option, in the order of the documentation.
        #[must_use]
        pub fn all() -> &'static [ConfigOption] {
            &[$($name),*]
        }
    };
}

options! {
    PARALLELISM: "parallelism.default", "1", "1 to 32768",
        "How many subtasks each operator has.";
    MAX_PARALLELISM: "pipeline.max-parallelism", "-1", "1 to 32768, or -1",
        "How many key groups keyed state is split into, and so the highest parallelism that the job can ever have. -1 takes the snapshot's, or one and a half times the parallelism rounded up to a power of two, at least 128.";
    WATERMARK_INTERVAL: "pipeline.auto-watermark-interval", "200 ms", "duration",
        "How often operators that assign event times emit a watermark.";
    DEBLOAT_TARGET: "taskmanager.network.memory.buffer-debloat.target", "100 ms", "duration",
        "How long the records under way between sources and sinks may take to be consumed; sources hold back accordingly. Flink's default is 1 s and off.";
    INTERVAL: "execution.checkpointing.interval", "none", "duration",
        "The time between checkpoints. Without it there are none but the final one.";
    MODE: "execution.checkpointing.mode", "EXACTLY_ONCE", "EXACTLY_ONCE or AT_LEAST_ONCE",
        "Whether operators with several senders wait for all barriers before they go on.";
    TIMEOUT: "execution.checkpointing.timeout", "10 min", "duration",
        "After this time a checkpoint that is not complete is given up.";
    MIN_PAUSE: "execution.checkpointing.min-pause", "0 ms", "duration",
        "The least time between the end of a checkpoint and the start of the next; if it is not 0 there is one checkpoint at a time.";
    MAX_CONCURRENT: "execution.checkpointing.max-concurrent-checkpoints", "1", "1 or more",
        "How many checkpoints may be under way at once.";
    TOLERABLE_FAILED: "execution.checkpointing.tolerable-failed-checkpoints", "0", "0 or more",
        "How many checkpoints in a row may fail before the attempt fails.";
    RETENTION: "execution.checkpointing.externalized-checkpoint-retention", "NO_EXTERNALIZED_CHECKPOINTS", "RETAIN_ON_CANCELLATION, DELETE_ON_CANCELLATION or NO_EXTERNALIZED_CHECKPOINTS",
        "What becomes of the checkpoints of a job that is cancelled. A job that fails keeps them, one that finishes does not.";
    NUM_RETAINED: "execution.checkpointing.num-retained", "1", "1 or more",
        "How many completed checkpoints are kept.";
    CHECKPOINT_DIR: "execution.checkpointing.dir", "none", "path or URL",
        "Where checkpoints go: a folder, or a URL of an object store. Without it they are kept in memory and do not survive the process.";
    CREATE_SUBDIR: "execution.checkpointing.create-subdir", "true", "true or false",
        "Whether each job has a folder named by its id in the checkpoint folder.";
    SAVEPOINT_DIR: "execution.checkpointing.savepoint-dir", "none", "path or URL",
        "Where savepoints go unless the request names a folder.";
    INLINE_THRESHOLD: "execution.checkpointing.data-inline-threshold", "20 kb", "size up to 1 mb",
        "State smaller than this stands in `_metadata` itself.";
    AFTER_TASKS_FINISH: "execution.checkpointing.checkpoints-after-tasks-finish", "true", "true or false",
        "Whether checkpoints go on once some subtasks have consumed all of their input, with a final one at the end that commits the last results.";
    TERMINATION_TIMEOUT: "execution.termination.timeout", "10 s", "duration",
        "How long a job that SIGTERM ends may take for one more checkpoint, which is kept; 0 takes none. So long a TaskManager that SIGTERM ends waits for its jobs to move. Not in Flink.";
    RECOVERY_PATH: "execution.state-recovery.path", "none", "path, URL or `latest`",
        "The savepoint or retained checkpoint that the job starts from.";
    CLAIM_MODE: "execution.state-recovery.claim-mode", "NO_CLAIM", "CLAIM or NO_CLAIM",
        "Whether the job takes that snapshot over and deletes it when it is subsumed. `latest` claims the job's own checkpoint unless this says otherwise.";
    IGNORE_UNCLAIMED: "execution.state-recovery.ignore-unclaimed-state", "false", "true or false",
        "Whether state of operators that the program does not have any more is left behind.";
    ALLOW_LOST_OUTPUT: "execution.state-recovery.allow-lost-output", "false", "true or false",
        "Whether the job goes on although its target has lost output that the snapshot says was prepared for it. Not in Flink.";
    VERIFY: "execution.state-recovery.verify", "false", "true or false",
        "Whether every file of that snapshot is read and its checksum compared before the job starts. Without it names and lengths are, and each process checks what it takes over while it is restored. Not in Flink.";
    CHECK_KEYS: "state.check-keys", "false", "true or false",
        "Whether the first 1,000 keys of each state are looked at, as debug builds always do: each has to be written in one way, and keys that their type's `Eq` takes for one have to be written alike. Not in Flink.";
    TAKE_OVER: "execution.take-over", "false", "true or false",
        "Whether the job is taken over from another run of it that is alive, instead of being refused; that one ends. Not in Flink.";
    RESTART_TYPE: "restart-strategy.type", "none", "none, fixed-delay, failure-rate or exponential-delay",
        "What follows a failed attempt. exponential-delay is the default as soon as there is a checkpointing interval; off and disable are other words for none.";
    FIXED_ATTEMPTS: "restart-strategy.fixed-delay.attempts", "1", "0 or more",
        "How many attempts follow the first one.";
    FIXED_DELAY: "restart-strategy.fixed-delay.delay", "1 s", "duration",
        "The time between a failure and the next attempt.";
    RATE_MAX: "restart-strategy.failure-rate.max-failures-per-interval", "1", "0 or more",
        "How many failures there may be in an interval.";
    RATE_INTERVAL: "restart-strategy.failure-rate.failure-rate-interval", "1 min", "duration",
        "That interval.";
    RATE_DELAY: "restart-strategy.failure-rate.delay", "1 s", "duration",
        "The time between a failure and the next attempt.";
    EXP_INITIAL: "restart-strategy.exponential-delay.initial-backoff", "1 s", "duration",
        "The time between the first failure and the next attempt.";
    EXP_MAX: "restart-strategy.exponential-delay.max-backoff", "1 min", "duration",
        "The longest time between a failure and the next attempt.";
    EXP_MULTIPLIER: "restart-strategy.exponential-delay.backoff-multiplier", "1.5", "1 or more",
        "By how much that time grows with each failure.";
    EXP_RESET: "restart-strategy.exponential-delay.reset-backoff-threshold", "1 h", "duration",
        "After this time without a failure it starts anew.";
    EXP_JITTER: "restart-strategy.exponential-delay.jitter-factor", "0.1", "0 to 1",
        "The random share by which that time is longer or shorter.";
    EXP_ATTEMPTS: "restart-strategy.exponential-delay.attempts-before-reset-backoff", "infinite", "1 or more, or infinite",
        "How many failures in a row there may be.";
    SCHEDULER: "jobmanager.scheduler", "Default", "Default or Adaptive",
        "What becomes of a job in a cluster with fewer free slots than its parallelism: Default has it wait for them, Adaptive runs it at the parallelism that fits, and rescales when more slots come.";
    SUBMISSION_STABILIZATION: "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "10 s", "duration",
        "How long an adaptive job waits for more slots before it starts with those that there are.";
    EXECUTING_STABILIZATION: "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", "1 min", "duration",
        "How long an adaptive job that runs waits for still more slots before it rescales to some, but not all, of what it wants.";
    RESCALE_COOLDOWN: "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "30 s", "duration",
        "The least time between the start of an attempt of an adaptive job and its next rescaling.";
    REST_ADDRESS: "rest.address", "localhost", "host",
        "Where clients find the JobManager's REST API.";
    REST_BIND_ADDRESS: "rest.bind-address", "127.0.0.1", "IP address",
        "Where the REST API listens. Whoever reaches it has to show the token.";
    REST_PORT: "rest.port", "8081", "0 to 65535",
        "The REST API's port; 0 takes one that is free.";
    REST_TOKEN: "security.rest.token", "none", "text",
        "What clients have to send as `Authorization: Bearer …`. Without it the JobManager makes a token, which stands in the file `token` of the configuration folder, unless it is started with --insecure.";
    REST_ALLOWED_HOSTS: "security.rest.allowed-hosts", "none", "names, separated by commas, or `*`",
        "Names that the REST API answers to, besides rest.address, `localhost` and the addresses where it listens. Not in Flink.";
    MAX_CONTENT_LENGTH: "rest.server.max-content-length", "1 gb", "size",
        "The longest upload.";
    ASYNC_STORE_DURATION: "rest.async.store-duration", "5 min", "duration",
        "For how long the result of a savepoint, a stop or a checkpoint can be asked for; with high-availability.storageDir of the next JobManager too.";
    CLIENT_TIMEOUT: "client.timeout", "1 min", "duration",
        "How long a client waits for an operation, which goes on when it gives up.";
    RPC_ADDRESS: "jobmanager.rpc.address", "localhost", "host",
        "Where TaskManagers and job processes find the JobManager.";
    RPC_BIND_HOST: "jobmanager.bind-host", "127.0.0.1", "IP address",
        "Where it listens for them. On any address but this machine's own it needs security.cluster.token.";
    RPC_PORT: "jobmanager.rpc.port", "6123", "0 to 65535",
        "The port for them; 0 takes one that is free.";
    CLUSTER_TOKEN: "security.cluster.token", "none", "text",
        "What TaskManagers have to know. Without it that follows from the file `token` of the configuration folder, which is made if there is none.";
    HA_STORAGE_DIR: "high-availability.storageDir", "none", "path or URL",
        "Where a JobManager keeps what the next one needs to go on with its jobs. Without it jobs end with their JobManager.";
    HA_CLUSTER_ID: "high-availability.cluster-id", "/default", "text",
        "Tells clusters apart that share a storageDir.";
    HA_RETRY_PERIOD: "high-availability.leader-election.retry-period", "5 s", "duration",
        "How often the JobManager that leads leaves a sign of life in storageDir. Flink has it for Kubernetes.";
    HA_LEASE_DURATION: "high-availability.leader-election.lease-duration", "15 s", "duration",
        "After how long without a new one it counts as dead for a JobManager that waits to take over. On a local disk its end is noticed at once. Flink has it for Kubernetes.";
    HEARTBEAT_INTERVAL: "heartbeat.interval", "10 s", "duration",
        "How often a JobManager and a TaskManager tell each other that they are there.";
    HEARTBEAT_TIMEOUT: "heartbeat.timeout", "50 s", "duration",
        "After how much silence the other one is taken for lost. The end of a process or of a connection is noticed at once.";
    TASKMANAGER_HOST: "taskmanager.host", "127.0.0.1", "host",
        "The TaskManager's host, as other hosts reach it.";
    LOG_MAX: "env.log.max", "100", "0 or more",
        "How many logs of processes that have ended a TaskManager keeps. Flink's default is 10, of its own.";
    LOG_SIZE: "env.log.max-size", "100 mb", "size of at least 1 kb",
        "How long the log of a process may become before what it said so far is moved aside; of that the newest is kept, so that a process takes twice this. An option of Tidegate: Flink has it in log4j.properties.";
    TASK_SLOTS: "taskmanager.numberOfTaskSlots", "1", "1 to 32768",
        "How many subtasks of a job a TaskManager takes.";
}
