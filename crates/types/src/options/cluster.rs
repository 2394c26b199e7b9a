//! The options of JobManagers, TaskManagers and their clients.

use std::{net::IpAddr, time::Duration};

use super::{
    Configuration, OptionError, Secret, keys,
    parse::{parse_bytes, parse_duration, parse_number},
};

/// Everything about a cluster that can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// Where clients find the REST API: `rest.address`.
    pub rest_address: String,
    /// Where it listens.
    pub rest_bind_address: IpAddr,
    /// Its port, 0 for any that is free.
    pub rest_port: u16,
    /// What clients have to know, if anything.
    pub rest_token: Option<Secret>,
    /// Names that it answers to, besides its address; `*` for any.
    pub rest_allowed_hosts: Vec<String>,
    /// The longest upload, in bytes.
    pub max_content_length: u64,
    /// For how long results of asynchronous operations are kept.
    pub async_store_duration: Duration,
    /// How long a client waits for an operation.
    pub client_timeout: Duration,
    /// Where TaskManagers and job processes find the JobManager.
    pub rpc_address: String,
    /// Where it listens.
    pub rpc_bind_host: IpAddr,
    /// Its port, 0 for any that is free.
    pub rpc_port: u16,
    /// What TaskManagers and job processes have to know, if anything.
    pub cluster_token: Option<Secret>,
    /// Where a JobManager keeps what outlives it, if anywhere.
    pub ha_storage_dir: Option<String>,
    /// Tells clusters apart that share that place.
    pub ha_cluster_id: String,
    /// How often the JobManager that leads leaves a sign of life there.
    pub ha_retry_period: Duration,
    /// After how long without one it counts as dead.
    pub ha_lease_duration: Duration,
    /// How long a TaskManager that is to end waits for its jobs to move.
    pub termination_timeout: Duration,
    /// How often each side says that it is there.
    pub heartbeat_interval: Duration,
    /// After how much silence a side counts as lost.
    pub heartbeat_timeout: Duration,
    /// A TaskManager's host, as others reach it.
    pub taskmanager_host: String,
    /// How many logs of processes that have ended a TaskManager keeps.
    pub kept_logs: usize,
    /// How long the log of a process may become, in bytes, before it is moved aside.
    pub log_bytes: usize,
    /// How many subtasks of a job a TaskManager takes.
    pub slots: u32,
}

fn parse_port(text: &str) -> Result<u16, String> {
    parse_number(text, 0, u16::MAX)
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    text.trim().parse().map_err(|_| "an IP address such as 127.0.0.1 or 0.0.0.0".to_owned())
}

fn parse_text(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a text that is not empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn parse_names(text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    if names.clone().any(|name| name.contains(['/', ':', '@', ' '])) {
        return Err("names of hosts, without ports, separated by commas, or `*`".to_owned());
    }
    Ok(names.map(str::to_owned).collect())
}

/// So long that a line has room, in bytes.
const SHORTEST_LOG: u64 = 1 << 10;

fn parse_log_size(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        bytes if bytes < SHORTEST_LOG => Err("a size of at least 1 kb, such as 100 mb".to_owned()),
        bytes => usize::try_from(bytes).map_err(|_| "a size that memory could have".to_owned()),
    }
}

impl ClusterOptions {
    /// Reads and checks every option.
    ///
    /// # Errors
    ///
    /// The first value that is wrong, with its key, its origin and what is accepted.
    pub fn from_configuration(from: &Configuration) -> Result<Self, OptionError> {
        let options = Self {
            rest_address: from.get(&keys::REST_ADDRESS, parse_text)?,
            rest_bind_address: from.get(&keys::REST_BIND_ADDRESS, parse_ip)?,
            rest_port: from.get(&keys::REST_PORT, parse_port)?,
            rest_token: from.get_optional(&keys::REST_TOKEN, parse_text)?.map(Secret::new),
            rest_allowed_hosts: from
                .get_optional(&keys::REST_ALLOWED_HOSTS, parse_names)?
                .unwrap_or_default(),
            max_content_length: from.get(&keys::MAX_CONTENT_LENGTH, parse_bytes)?,
            async_store_duration: from.get(&keys::ASYNC_STORE_DURATION, parse_duration)?,
            client_timeout: from.get(&keys::CLIENT_TIMEOUT, parse_duration)?,
            rpc_address: from.get(&keys::RPC_ADDRESS, parse_text)?,
            rpc_bind_host: from.get(&keys::RPC_BIND_HOST, parse_ip)?,
            rpc_port: from.get(&keys::RPC_PORT, parse_port)?,
            cluster_token: from.get_optional(&keys::CLUSTER_TOKEN, parse_text)?.map(Secret::new),
            ha_storage_dir: from.get_optional(&keys::HA_STORAGE_DIR, parse_text)?,
            ha_cluster_id: from.get(&keys::HA_CLUSTER_ID, parse_text)?,
            ha_retry_period: from.get(&keys::HA_RETRY_PERIOD, parse_duration)?,
            ha_lease_duration: from.get(&keys::HA_LEASE_DURATION, parse_duration)?,
            termination_timeout: from.get(&keys::TERMINATION_TIMEOUT, parse_duration)?,
            heartbeat_interval: from.get(&keys::HEARTBEAT_INTERVAL, parse_duration)?,
            heartbeat_timeout: from.get(&keys::HEARTBEAT_TIMEOUT, parse_duration)?,
            taskmanager_host: from.get(&keys::TASKMANAGER_HOST, parse_text)?,
            kept_logs: from.get(&keys::LOG_MAX, |text| parse_number(text, 0, usize::MAX))?,
            log_bytes: from.get(&keys::LOG_SIZE, parse_log_size)?,
            slots: from.get(&keys::TASK_SLOTS, |text| parse_number(text, 1, 1 << 15))?,
        };
        options.check()
    }

    fn check(self) -> Result<Self, OptionError> {
        if self.heartbeat_interval.is_zero() || self.heartbeat_timeout <= self.heartbeat_interval {
            return Err(OptionError::Together {
                message: format!(
                    "heartbeat.timeout ({:?}) must be longer than heartbeat.interval ({:?}), and \
                     that longer than 0",
                    self.heartbeat_timeout, self.heartbeat_interval
                ),
            });
        }
        if self.ha_retry_period.is_zero() || self.ha_lease_duration <= self.ha_retry_period {
            return Err(OptionError::Together {
                message: format!(
                    "high-availability.leader-election.lease-duration ({:?}) must be longer than \
                     high-availability.leader-election.retry-period ({:?}), and that longer than 0",
                    self.ha_lease_duration, self.ha_retry_period
                ),
            });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[&str]) -> Result<ClusterOptions, OptionError> {
        let mut configuration = Configuration::new();
        for pair in pairs {
            configuration.set_pair(pair).expect("a pair");
        }
        ClusterOptions::from_configuration(&configuration)
    }

    #[test]
    fn defaults_listen_on_this_machine_alone() {
        let options = options(&[]).expect("the defaults are right");
        assert!(options.rest_bind_address.is_loopback() && options.rpc_bind_host.is_loopback());
        assert_eq!((options.rest_port, options.rpc_port, options.slots), (8081, 6123, 1));
        assert_eq!(options.heartbeat_timeout, Duration::from_secs(50));
    }

    #[test]
    fn a_timeout_shorter_than_the_interval_is_refused() {
        let error = options(&["heartbeat.timeout=1 s"]).expect_err("shorter than 10 s");
        assert!(error.to_string().contains("heartbeat.timeout (1s)"), "{error}");
    }

    #[test]
    fn a_lease_shorter_than_the_signs_of_life_is_refused() {
        let pair = "high-availability.leader-election.lease-duration=5 s";
        let error = options(&[pair]).expect_err("not longer than 5 s");
        assert!(error.to_string().contains("lease-duration (5s)"), "{error}");
    }

    #[test]
    fn a_log_has_room_for_a_line() {
        assert_eq!(options(&[]).expect("the defaults are right").log_bytes, 100 << 20);
        let small = options(&["env.log.max-size=1 kb"]).expect("so long");
        assert_eq!(small.log_bytes, 1024);
        for wrong in ["0", "1023", "much"] {
            let error = options(&[&format!("env.log.max-size={wrong}")]).expect_err("too short");
            assert!(error.to_string().contains("env.log.max-size"), "{error}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let error = options(&["rest.bind-address=everywhere"]).expect_err("no address");
        assert!(error.to_string().contains("rest.bind-address"), "{error}");
    }
}
