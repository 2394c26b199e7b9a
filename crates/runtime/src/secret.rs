//! What the processes of an embedded job know each other by.

use std::net::{IpAddr, ToSocketAddrs};

use tidegate_protocol::{Secret, cluster_token, configuration_folder, derived, read_or_make_token};
use tidegate_types::{ErrorKind, error::chain};

use crate::api::JobError;

/// What processes know each other by that listen at these addresses: the `security.cluster.token` that
/// is given; or, if all are on this machine, what follows from the token in the configuration folder,
/// which is made if there is none.
///
/// # Errors
///
/// When there are other hosts and no token is given, or the folder can't be used.
pub fn secret_of_processes(given: Option<Secret>, addresses: &[&str]) -> Result<Secret, JobError> {
    const HINT: &str = "set security.cluster.token to a text that all processes of the job have \
                        (in the environment as TIDEGATE_SECURITY_CLUSTER_TOKEN, say)";
    let invalid = |message: String| JobError::new(ErrorKind::Invalid, format!("{message}; {HINT}"));
    let own = match given {
        Some(given) => given,
        None => {
            if let Some(other) = addresses.iter().find(|address| !is_here(address)) {
                return Err(invalid(format!(
                    "{other} is on another host, and anybody who reaches it could take part in the job"
                )));
            }
            let folder = configuration_folder().ok_or_else(|| {
                invalid("HOME is not set: there is no place for a token".to_owned())
            })?;
            let token = read_or_make_token(&folder).map_err(|error| {
                invalid(format!("no token in {}: {}", folder.display(), chain(&error)))
            })?;
            cluster_token(&token)
        }
    };
    Ok(derived(&own, "processes of an embedded job"))
}

/// Whether nobody but this machine reaches an address.
fn is_here(address: &str) -> bool {
    let Ok(mut resolved) = address.to_socket_addrs() else { return false };
    resolved.all(|address| IpAddr::is_loopback(&address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_take_a_token_that_is_given() {
        let addresses = ["127.0.0.1:4000", "192.0.2.1:4000"];
        let error = secret_of_processes(None, &addresses).expect_err("none is given");
        assert!(error.to_string().starts_with("192.0.2.1:4000 is on another host"), "{error}");
        let given = Some(Secret::new("given"));
        let one = secret_of_processes(given.clone(), &addresses).expect("it is given");
        assert_eq!(one, secret_of_processes(given, &addresses[..1]).expect("it is given"));
        assert!(!one.is(b"given"), "the job's processes do not show the cluster's own");
    }
}
