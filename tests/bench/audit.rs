//! The apiserver's audit log: who asked what, and when the answer was complete.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

/// A request that was answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    /// When the answer was complete.
    #[serde(rename = "stageTimestamp")]
    pub at: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Object {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Request {
    /// Whether this user asked.
    pub fn is_of(&self, user: &str) -> bool {
        self.user.username == user
    }

    /// Whether it changes something. A token for a ServiceAccount changes nothing, and a lease is renewed whatever else is done.
    pub fn is_write(&self) -> bool {
        let Object { resource, subresource, .. } = &self.object_ref;
        ["create", "update", "patch", "delete"].contains(&self.verb.as_str())
            && subresource != "token"
            && resource != "leases"
    }

    /// Whether it reads something now: a watch costs nothing more than what is told through it.
    pub fn is_read(&self) -> bool {
        ["get", "list"].contains(&self.verb.as_str()) && self.object_ref.resource != "leases"
    }

    /// Whether it left a Secret written.
    pub fn is_secret_written(&self) -> bool {
        self.object_ref.resource == "secrets" && self.is_write() && self.response_status.code < 300
    }

    /// Whether there was no such Secret before it.
    pub fn is_secret_made(&self) -> bool {
        self.is_secret_written() && self.response_status.code == 201
    }

    /// Whether it made an object of this kind.
    pub fn made(&self, resource: &str) -> bool {
        self.verb == "create" && self.object_ref.resource == resource && self.response_status.code < 300
    }

    /// What it was about, without names: `patch dbauthtokens/status`.
    pub fn kind(&self) -> String {
        let Object { resource, subresource, .. } = &self.object_ref;
        let part = if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        format!("{} {resource}{part}", self.verb)
    }

    /// The object's namespace and name.
    pub fn object(&self) -> (&str, &str) {
        (&self.object_ref.namespace, &self.object_ref.name)
    }
}

/// Reads the log as it grows.
pub struct Tail {
    path: PathBuf,
    /// Who is looked at, beside the benchmark.
    user: String,
    file: File,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    /// From here on.
    pub fn from_now(path: &str, user: &str) -> Self {
        let mut file = File::open(path).expect("audit log");
        file.seek(SeekFrom::End(0)).expect("audit log");
        Self { path: path.into(), user: user.to_owned(), file, rest: Vec::new() }
    }

    /// The requests since the last call that the user or the benchmark made.
    pub fn read(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        self.read_file(&mut requests);
        // The apiserver puts a log that is full aside, and begins a new one.
        let inode = |metadata: std::io::Result<std::fs::Metadata>| metadata.map(|it| it.ino()).ok();
        if inode(std::fs::metadata(&self.path)) != inode(self.file.metadata())
            && let Ok(next) = File::open(&self.path)
        {
            self.read_file(&mut requests);
            self.file = next;
            self.read_file(&mut requests);
        }
        requests
    }

    fn read_file(&mut self, requests: &mut Vec<Request>) {
        self.file.read_to_end(&mut self.rest).expect("audit log");
        let end = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..end).collect();
        let lines = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let read = lines.map(|line| serde_json::from_slice::<Request>(line).expect("a line of the audit log"));
        requests.extend(read.filter(|it| it.is_of(&self.user) || it.is_of(crate::plane::USER)));
    }
}
