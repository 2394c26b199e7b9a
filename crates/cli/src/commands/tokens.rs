//! Which tokens a command shows, and which a server asks for.
//!
//! What the options say comes first; else the file `token` of the configuration folder holds the REST
//! API's, and what TaskManagers show follows from it. Servers make that file if there is none.

use std::{net::IpAddr, path::PathBuf};

use anyhow::{Context, Result};
use tidegate_protocol::{
    Secret, cluster_token, configuration_folder, read_or_make_token, read_token,
};
use tidegate_types::options::ClusterOptions;

/// What a server asks for.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) rest: Option<Secret>,
    pub(super) cluster: Option<Secret>,
}

fn folder() -> Result<PathBuf> {
    configuration_folder().context("neither TIDEGATE_CONF_DIR nor HOME is set")
}

fn made() -> Result<Secret> {
    let made = folder().and_then(|folder| {
        read_or_make_token(&folder).with_context(|| format!("no token in {}", folder.display()))
    });
    made.context(
        "there is no token, and none can be made: set security.rest.token and \
         security.cluster.token, or give --insecure to a JobManager that anybody may use",
    )
}

/// What a JobManager asks for; `insecure` has it ask for nothing that no option names.
pub(super) fn of_jobmanager(options: &ClusterOptions, insecure: bool) -> Result<Tokens> {
    let (rest, cluster) = (options.rest_token.clone(), options.cluster_token.clone());
    if insecure || (rest.is_some() && cluster.is_some()) {
        return Ok(Tokens { rest, cluster });
    }
    let made = made()?;
    let cluster = cluster.unwrap_or_else(|| cluster_token(&made));
    Ok(Tokens { rest: Some(rest.unwrap_or(made)), cluster: Some(cluster) })
}

/// What a TaskManager shows. Without a place for a token it shows none: a JobManager may ask for none.
pub(super) fn of_taskmanager(options: &ClusterOptions) -> Option<Secret> {
    if let Some(token) = &options.cluster_token {
        return Some(token.clone());
    }
    match made() {
        Ok(made) => Some(cluster_token(&made)),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "no token is shown to the JobManager");
            None
        }
    }
}

/// What a client shows to the JobManager at `address`. What the file holds is for the JobManager that
/// the options name, and for this machine's, and for nobody else.
pub(super) fn of_client(options: &ClusterOptions, address: &str) -> Result<Option<Secret>> {
    if options.rest_token.is_some() {
        return Ok(options.rest_token.clone());
    }
    let host = host_of(address);
    if host != options.rest_address && !is_here(host) {
        return Ok(None);
    }
    let Some(folder) = configuration_folder() else { return Ok(None) };
    read_token(&folder).with_context(|| format!("cannot read the token in {}", folder.display()))
}

/// The host in an address or a URL.
fn host_of(address: &str) -> &str {
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    if let Some(literal) = authority.strip_prefix('[') {
        return literal.split(']').next().unwrap_or_default();
    }
    authority.split(':').next().unwrap_or_default()
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found_in_whatever_names_them() {
        for (address, host) in [
            ("localhost:8081", "localhost"),
            ("http://a.example:1/x", "a.example"),
            ("[::1]:8081", "::1"),
            ("https://a.example", "a.example"),
            ("http://localhost:80@evil.example", "evil.example"),
        ] {
            assert_eq!(host_of(address), host, "{address}");
        }
        assert!(is_here("::1") && is_here("127.0.0.2") && !is_here("127.0.0.1.evil.example"));
    }
}
