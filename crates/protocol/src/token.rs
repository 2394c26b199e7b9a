//! The tokens of a cluster: where the first one lies, and what is derived from it.
//!
//! ```text
//!   <configuration folder>/token      what clients of the REST API show; mode 0600
//!     +- cluster token                what TaskManagers show: derived, so that who knows it does not
//!          |                          know the first
//!          +- attempt's credential    what the processes of an attempt show: signed with the cluster's
//!                                     token, so that they know nothing but their own
//! ```

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tidegate_types::{AttemptId, JobId, options::Secret};

/// What the file is called.
const FILE: &str = "token";
/// What an attempt's credential begins with.
const ATTEMPT: &str = "attempt";

/// Where options and the token are looked for: `TIDEGATE_CONF_DIR`, else `TIDEGATE_HOME`, else
/// `~/.tidegate`; `None` if there is no home either.
#[must_use]
pub fn configuration_folder() -> Option<PathBuf> {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let home = || Some(named("HOME")?.join(".tidegate"));
    named("TIDEGATE_CONF_DIR").or_else(|| named("TIDEGATE_HOME")).or_else(home)
}

/// The token in a configuration folder, if there is one.
///
/// # Errors
///
/// When it can't be read, or is empty.
pub fn read_token(folder: &Path) -> io::Result<Option<Secret>> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let token = text.trim();
    if token.is_empty() {
        let message = format!("{} is empty: delete it, and a new token is made", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(Secret::new(token)))
}

/// The token in a configuration folder, which is made if there is none, readable by its owner alone.
/// Of two that make one at once both get the same.
///
/// # Errors
///
/// When it can't be read or written.
pub fn read_or_make_token(folder: &Path) -> io::Result<Secret> {
    if let Some(token) = read_token(folder)? {
        return Ok(token);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Written elsewhere and moved into place, so that nobody reads half of it.
    let mut file = tempfile::Builder::new().prefix(".token-").tempfile_in(folder)?;
    writeln!(file, "{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())?;
    match file.persist_noclobber(folder.join(FILE)) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error),
    }
    read_token(folder)?
        .ok_or_else(|| io::Error::other("the token was deleted as soon as it was made"))
}

/// A digest that only who knows `secret` can make, in hexadecimal digits.
fn signed(secret: &Secret, text: &str) -> String {
    let secret = secret.expose().as_bytes();
    // A digest of a digest: neither tells the state that it could be continued from.
    let inner = Sha256::new().chain_update(secret).chain_update([0]).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(secret).chain_update([1]).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is derived from `secret` for a purpose; it does not tell `secret`.
#[must_use]
pub fn derived(secret: &Secret, purpose: &str) -> Secret {
    Secret::new(signed(secret, purpose))
}

/// What TaskManagers show, where only the REST API's token is there.
#[must_use]
pub fn cluster_token(token: &Secret) -> Secret {
    derived(token, "cluster")
}

/// What the processes of an attempt show; `number` tells the attempt apart from all others.
#[must_use]
pub fn attempt_credential(cluster: &Secret, job: JobId, attempt: AttemptId, number: u64) -> Secret {
    let named = format!("{ATTEMPT}.{job}.{attempt}.{number:016x}");
    let signature = signed(cluster, &named);
    Secret::new(format!("{named}.{signature}"))
}

/// Who shows something, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The cluster's token: a TaskManager; or there is none, and everybody may do everything.
    Cluster,
    /// An attempt's credential: one of its processes.
    Attempt { job: JobId, attempt: AttemptId, number: u64 },
}

impl Shown {
    /// Reads what was shown to one who knows the cluster's token.
    pub(crate) fn read(cluster: &Secret, shown: &[u8]) -> Option<Self> {
        if cluster.is(shown) {
            return Some(Self::Cluster);
        }
        let text = std::str::from_utf8(shown).ok()?;
        let mut parts = text.strip_prefix(ATTEMPT)?.strip_prefix('.')?.splitn(4, '.');
        let job = parts.next()?.parse().ok()?;
        let attempt = AttemptId(parts.next()?.parse().ok()?);
        let number = u64::from_str_radix(parts.next()?, 16).ok()?;
        let right = attempt_credential(cluster, job, attempt, number);
        right.is(shown).then_some(Self::Attempt { job, attempt, number })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn all_that_make_a_token_at_once_get_the_same_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("conf");
        let made = std::thread::scope(|scope| {
            let make = || read_or_make_token(&folder).expect("the folder is the test's own");
            let threads = (0..8).map(|_| scope.spawn(make)).collect::<Vec<_>>();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert!(made.iter().all(|token| *token == made[0]), "one token");
        assert_eq!(made[0].expose().len(), 64);
        let mode = fs::metadata(folder.join(FILE)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1, "nothing else is left");
    }

    #[test]
    fn an_empty_token_is_no_token() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "\n").expect("written");
        let error = read_or_make_token(folder.path()).expect_err("it is empty");
        assert!(error.to_string().contains("is empty"), "{error}");
    }

    #[test]
    fn an_attempts_credential_is_good_for_that_attempt_alone() {
        let cluster = cluster_token(&Secret::new("first"));
        let (job, attempt) = (JobId::from_name("flights"), AttemptId(2));
        let credential = attempt_credential(&cluster, job, attempt, 7);
        let shown = Shown::read(&cluster, credential.expose().as_bytes());
        assert_eq!(shown, Some(Shown::Attempt { job, attempt, number: 7 }));
        let forged = credential.expose().replacen(".2.", ".3.", 1);
        assert_ne!(forged, credential.expose());
        assert_eq!(Shown::read(&cluster, forged.as_bytes()), None);
        let other = cluster_token(&Secret::new("second"));
        assert_eq!(Shown::read(&other, credential.expose().as_bytes()), None);
        assert_eq!(Shown::read(&cluster, b"first"), None, "clients are no TaskManagers");
        assert_eq!(Shown::read(&cluster, cluster.expose().as_bytes()), Some(Shown::Cluster));
    }
}
