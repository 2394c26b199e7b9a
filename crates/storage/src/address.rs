//! The one way from a location's text to where it lies.
//!
//! A text is taken apart into an [`Address`], and addresses are compared part by part: `/data/a`,
//! `/data/a/`, `file:/data/a` and `file:///data/a` are the same, and `/data/ab` does not lie below
//! it. Nobody compares texts.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use object_store::path::{Path as StorePath, PathPart};
use tidegate_types::options::HIDDEN;
use url::Url;

use crate::StoreError;

/// Where something lies. Shown, it is what a person calls it: a path or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// An absolute path without links, as far as it is there.
    Local(PathBuf),
    /// A store in this process, and a folder in it.
    Memory { name: String, below: StorePath },
    /// Anything else that `object_store` knows, without a `/` at its end.
    Remote { url: Url, below: StorePath },
}

/// Makes a path of this process's folder absolute; a URL is so already.
#[must_use]
pub fn absolute(text: &str) -> String {
    match (scheme(text), std::path::absolute(text)) {
        (None, Ok(path)) => path.display().to_string(),
        _ => text.to_owned(),
    }
}

/// What stands before the first colon, if that comes before the first slash (as Flink sees it).
fn scheme(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(scheme, _)| !scheme.is_empty() && !scheme.contains('/'))
}

/// A text as people may see it, whatever is wrong with it.
fn without_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.split('/').next()?;
        let (user, _) = authority.rsplit_once('@')?.0.split_once(':')?;
        let behind = &rest[authority.rfind('@')?..];
        Some(format!("{scheme}://{user}:{HIDDEN}{behind}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}

impl Address {
    /// Takes a text apart: a path, or a URL. Nothing is looked for but links on the local disk.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let kind = match scheme(text) {
            None => local(Path::new(text)),
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "file" => file(text, rest),
                "memory" => memory(rest),
                _ if rest.starts_with("//") => remote(text),
                other => Err(format!(
                    "there is no scheme `{other}:`; write ./{text} if it is a folder's name"
                )),
            },
        };
        kind.map(Self)
            .map_err(|problem| StoreError::Address { url: without_password(text), problem })
    }

    /// Where it lies on this machine's disk, if it does.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Local(path) => Some(path),
            _ => None,
        }
    }

    /// The store in this process that it lies in, and the folder in there.
    pub(super) fn memory(&self) -> Option<(&str, &StorePath)> {
        match &self.0 {
            Kind::Memory { name, below } => Some((name, below)),
            _ => None,
        }
    }

    /// The URL for `object_store`, if it is one.
    pub(super) fn url(&self) -> Option<&Url> {
        match &self.0 {
            Kind::Remote { url, .. } => Some(url),
            _ => None,
        }
    }

    /// The way from `folder` to here, part by part, if this lies in it or is the same.
    #[must_use]
    pub fn within(&self, folder: &Self) -> Option<Vec<String>> {
        match (&self.0, &folder.0) {
            (Kind::Local(path), Kind::Local(folder)) => {
                let way = path.strip_prefix(folder).ok()?;
                way.iter().map(|part| part.to_str().map(str::to_owned)).collect()
            }
            (
                Kind::Memory { name, below },
                Kind::Memory { name: same_name, below: folder_below },
            ) => (name == same_name).then(|| way(folder_below, below))?,
            (Kind::Remote { url, below }, Kind::Remote { url: same, below: folder_below }) => {
                (origin(url) == origin(same)).then(|| way(folder_below, below))?
            }
            _ => None,
        }
    }

    /// The address of what is called `name` in here; of several names, parted by `/`, below.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let parts = || name.split('/').filter(|part| !part.is_empty()).map(PathPart::from);
        let joined = |below: &StorePath| parts().fold(below.clone(), |path, part| path.join(part));
        Self(match &self.0 {
            Kind::Local(path) => {
                Kind::Local(parts().fold(path.clone(), |path, part| path.join(part.as_ref())))
            }
            Kind::Memory { name, below } => {
                Kind::Memory { name: name.clone(), below: joined(below) }
            }
            Kind::Remote { url, below } => {
                let mut url = url.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().extend(parts());
                }
                Kind::Remote { url, below: joined(below) }
            }
        })
    }
}

/// Scheme, user, host and port.
fn origin(url: &Url) -> (&str, &str, Option<&str>, Option<u16>) {
    (url.scheme(), url.username(), url.host_str(), url.port_or_known_default())
}

fn way(from: &StorePath, to: &StorePath) -> Option<Vec<String>> {
    let parts = to.prefix_match(from)?;
    Some(parts.map(|part| part.as_ref().to_owned()).collect())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Local(path) => write!(f, "{}", path.display()),
            Kind::Memory { name, below } if below.as_ref().is_empty() => {
                write!(f, "memory://{name}")
            }
            Kind::Memory { name, below } => write!(f, "memory://{name}/{below}"),
            Kind::Remote { url, .. } => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

fn file(text: &str, rest: &str) -> Result<Kind, String> {
    let expected = || "expected file:///a/b or file:/a/b".to_owned();
    if !rest.starts_with('/') {
        return Err(expected());
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("in a URL `?` is written %3F, and `#` %23".to_owned());
    }
    local(&url.to_file_path().map_err(|()| expected())?)
}

fn memory(rest: &str) -> Result<Kind, String> {
    let rest = rest.strip_prefix("//").ok_or("expected memory://name")?;
    // The first part names the store, the rest is a folder in it.
    let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
    Ok(Kind::Memory { name: name.to_owned(), below: StorePath::from(below) })
}

fn remote(text: &str) -> Result<Kind, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.password().is_some() {
        let hint = "it has a password in it, which would stand in snapshots and logs: the store takes \
                    credentials from the environment, such as AWS_SECRET_ACCESS_KEY";
        return Err(hint.to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    let below = StorePath::from_url_path(&path).map_err(|error| error.to_string())?;
    Ok(Kind::Remote { url, below })
}

/// Follows links as far as the path is there. What is not there has none, so that `..` behind it is
/// the folder that was named before.
fn local(path: &Path) -> Result<Kind, String> {
    let absolute = std::path::absolute(path).map_err(|error| error.to_string())?;
    let mut resolved = PathBuf::new();
    for component in absolute.components() {
        if component == Component::ParentDir {
            resolved.pop();
            continue;
        }
        resolved.push(component);
        if let Ok(found) = resolved.canonicalize() {
            resolved = found;
        }
    }
    Ok(Kind::Local(resolved))
}

#[cfg(test)]
mod tests;
