//! Where files lie: a path, or a `file:` URL as Flink prints them.

use std::path::PathBuf;

use tidegate_storage::Address;

use super::error::FileError;

/// The path that a person has written. What has a scheme is taken apart in the one place where
/// locations are; a path without stays as it is written, since splits are known by it.
///
/// # Errors
///
/// [`FileError::Location`] for schemes other than `file`.
pub(super) fn local_path(written: PathBuf) -> Result<PathBuf, FileError> {
    let has_scheme = |text: &&str| {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| !scheme.is_empty() && !scheme.contains('/'))
    };
    let Some(text) = written.to_str().filter(has_scheme) else { return Ok(written) };
    if written.exists() {
        return Ok(written);
    }
    let refused = |problem: String| FileError::Location { path: text.to_owned(), problem };
    let address = Address::parse(text).map_err(|error| refused(error.to_string()))?;
    let path = address.local().map(ToOwned::to_owned);
    path.ok_or_else(|| refused("files are read from and written to local disks alone".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<PathBuf, String> {
        local_path(text.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_of_a_file_is_a_path_and_other_schemes_are_refused() {
        for path in ["in/a.csv", "./in", "/data/*.csv", "/data/a:b"] {
            assert_eq!(of(path), Ok(path.into()), "as it is written");
        }
        for url in ["file:/nowhere/in", "file:///nowhere/in"] {
            assert_eq!(of(url), Ok("/nowhere/in".into()));
        }
        let refused = of("s3://bucket/in").expect_err("it is no local disk");
        assert!(
            refused.contains("`s3://bucket/in`") && refused.contains("local disks"),
            "{refused}"
        );
        let refused = of("fiel:/nowhere/in").expect_err("nobody knows it");
        assert!(refused.contains("there is no scheme `fiel:`"), "{refused}");
    }
}
