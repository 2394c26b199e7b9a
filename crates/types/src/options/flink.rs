//! Which options are Flink's and not here, so that whoever brings a configuration along learns which
//! lines of it do nothing.

/// Flink's options, and families of them, that have no counterpart here. One that ends in a dot
/// stands for all that begin with it.
const NOT_HERE: &[&str] = &[
    "akka.",
    "blob.",
    "classloader.",
    "cleanup-strategy.",
    "client.",
    "cluster.",
    "compiler.",
    "containerized.",
    "env.hadoop.",
    "env.hbase.",
    "env.java.",
    "env.pid.",
    "env.ssh.",
    "env.yarn.",
    "events.",
    "execution.async-state.",
    "execution.batch.",
    "execution.buffer-timeout.",
    "execution.checkpointing.aligned-checkpoint-timeout",
    "execution.checkpointing.cleaner.",
    "execution.checkpointing.during-recovery.",
    "execution.checkpointing.file-merging.",
    "execution.checkpointing.incremental",
    "execution.checkpointing.interval-during-backlog",
    "execution.checkpointing.local-backup.",
    "execution.checkpointing.region.",
    "execution.checkpointing.snapshot-compression",
    "execution.checkpointing.storage",
    "execution.checkpointing.unaligned.",
    "execution.checkpointing.write-buffer-size",
    "execution.runtime-mode",
    "execution.sink.",
    "execution.sorted-inputs.",
    "execution.state-recovery.approximate-local-recovery",
    "execution.state-recovery.from-local",
    "execution.state-recovery.without-channel-state.",
    "execution.submit-failed-job-on-application-error",
    "execution.target",
    "external-resource.",
    "external-resources",
    "fs.",
    "heartbeat.",
    "high-availability.kubernetes.",
    "high-availability.type",
    "high-availability.zookeeper.",
    "historyserver.",
    "io.tmp.dirs",
    "jobmanager.adaptive-scheduler.",
    "jobmanager.archive.",
    "jobmanager.execution.",
    "jobmanager.failure-enrichers",
    "jobmanager.heap.",
    "jobmanager.memory.",
    "jobmanager.partition.",
    "jobstore.",
    "kubernetes.",
    "metrics.",
    "parallelism.",
    "pekko.",
    "pipeline.",
    "plugin.",
    "process.",
    "python.",
    "query.",
    "queryable-state.",
    "resourcemanager.",
    "rest.",
    "scheduler-mode",
    "security.",
    "shuffle-service-factory.",
    "slot.",
    "slotmanager.",
    "sql-client.",
    "sql-gateway.",
    "sink.committer.",
    "state.",
    "streaming.",
    "table.",
    "task.",
    "taskmanager.",
    "tez.",
    "traces.",
    "user.",
    "web.",
    "yarn.",
    "zookeeper.",
];

/// Whether an option that is not here is one of Flink's. Families are told by their beginning, so
/// that a name which is near to one of ours has to be looked at first.
pub(super) fn is_flinks(key: &str) -> bool {
    NOT_HERE.iter().any(
        |known| {
            if known.ends_with('.') { key.starts_with(known) } else { key == *known }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Configuration, Origin, all};
    use super::*;

    fn warnings(key: &str) -> String {
        let mut configuration = Configuration::default();
        configuration.set(key, "x", Origin::CommandLine { option: "-D".to_owned() });
        let warnings = configuration.warnings().into_iter().map(|warning| warning.message);
        warnings.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_option_of_flinks_is_told_from_a_slip_and_from_what_nobody_knows() {
        assert_eq!(
            warnings("execution.checkpointing.unaligned.enabled"),
            "option execution.checkpointing.unaligned.enabled (from -D on the command line) is \
             Flink's and not here yet: it does nothing"
        );
        assert!(warnings("execution.checkpointing.intervall").contains("did you mean"));
        assert!(
            warnings("foo")
                .ends_with("unknown option foo (from -D on the command line): it does nothing")
        );
        assert_eq!(warnings("execution.checkpointing.interval"), "");
    }

    #[test]
    fn no_option_that_is_here_is_listed_as_missing() {
        let listed =
            |key: &&&str| !key.ends_with('.') && all().iter().any(|option| option.key == **key);
        assert_eq!(NOT_HERE.iter().find(listed), None);
    }
}
