//! Readers, each of a Secret's files, and what lays the files out: like the kubelet, but always as late as it ever is. And whoever reads a Secret
//! from the apiserver, as soon as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use iamdb::api::{EXPIRES_AT_ANNOTATION, ISSUED_AT_ANNOTATION};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use parking_lot::{Mutex, MutexGuard};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{READERS, names};
use crate::tenant::{Tenant, instant, now};

/// A reader logs in so often.
const PACE: Duration = Duration::from_secs(5);

/// What the readers met.
pub struct Record {
    pub opened: u64,
    /// Those of them that were opened with a token as soon as it was written.
    pub fresh: u64,
    /// Each login that failed: which, when, with how much left, and the client's first line.
    pub refused: Vec<String>,
    pub files: Vec<File>,
}

/// A Secret as its reader saw it.
#[derive(Clone)]
pub struct File {
    pub name: String,
    pub user: usize,
    /// How often it changed.
    pub rotations: usize,
    /// When the token ends that was published last.
    pub expires_at: Timestamp,
    /// The least life that the reader saw at a login.
    pub least_left: SignedDuration,
    /// The least life that a token had when it was published.
    pub least_life: SignedDuration,
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rotations: usize = self.files.iter().map(|file| file.rotations).sum();
        let least = self.files.iter().map(|file| file.least_left.as_secs()).min().unwrap_or_default();
        let (files, opened, refused) = (self.files.len(), self.opened - self.fresh, self.refused.len());
        write!(
            f,
            "oracle: {files} readers opened {opened} sessions, and {} were opened as soon as a token was written, {refused} refused; \
             {rotations} rotations; least life seen by a reader {least} s",
            self.fresh
        )
    }
}

/// What has come of a Secret, and not yet to its reader.
struct Mount {
    folder: PathBuf,
    /// Versions by their number, and when each was written.
    coming: Vec<(Instant, usize)>,
    stored_as: String,
    file: File,
}

#[derive(Default)]
struct State {
    opened: u64,
    fresh: u64,
    refused: Vec<String>,
    mounts: BTreeMap<(String, String), Mount>,
    logins: Vec<JoinHandle<()>>,
}

/// Running readers.
pub struct Readers {
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}

impl Readers {
    /// Lays out what there is at once, as for a pod that starts, and whatever comes later `late`.
    pub async fn start(tenants: &[Arc<Tenant>], late: SignedDuration) -> Self {
        let (state, stop) = (Arc::new(Mutex::new(State::default())), CancellationToken::new());
        let mut tasks = Vec::new();
        for tenant in tenants {
            for secret in tenant.secrets().list(&ListParams::default()).await.expect("list Secrets") {
                held(&state).mount(tenant, &secret);
            }
            tasks.push(until_stopped(&stop, watch(tenant.clone(), state.clone())));
        }
        tasks.push(until_stopped(&stop, copy(state.clone(), late.unsigned_abs())));
        let names: Vec<_> = tenants.iter().flat_map(|tenant| names().map(move |name| (tenant.clone(), name))).collect();
        let apart = PACE / u32::try_from(names.len()).expect("few");
        for ((tenant, name), at) in names.into_iter().zip(0..) {
            let (state, stop) = (state.clone(), stop.clone());
            // A login that has begun is finished: it counts.
            tasks.push(tokio::spawn(async move {
                tokio::time::sleep(apart * at).await;
                let mut ticks = tokio::time::interval(PACE);
                while !stop.is_cancelled() {
                    ticks.tick().await;
                    log_in(tenant.clone(), name.clone(), "..data".into(), state.clone()).await;
                }
            }));
        }
        Self { state, stop, tasks }
    }

    /// Ends them, and tells what they met.
    pub async fn stop(self) -> Record {
        self.stop.cancel();
        for task in self.tasks {
            task.await.expect("a reader, or what lays out its files, met something that is wrong");
        }
        let logins = std::mem::take(&mut held(&self.state).logins);
        for login in logins {
            login.await.expect("a login");
        }
        let mut state = held(&self.state);
        let files = std::mem::take(&mut state.mounts).into_values().map(|mount| mount.file).collect();
        Record { opened: state.opened, fresh: state.fresh, refused: std::mem::take(&mut state.refused), files }
    }
}

/// Runs something until all is stopped; should it end before, it has failed.
fn until_stopped(stop: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => panic!("it ended by itself"),
        }
    })
}

impl State {
    fn mount(&mut self, tenant: &Tenant, secret: &Secret) {
        let name = secret.name_any().trim_end_matches("-db").to_owned();
        let user = names().position(|it| it == name).expect("one of ours") / READERS;
        let folder = tenant.mount(&name);
        write(&folder, 0, &data(secret));
        show(&folder, 0);
        let file = File {
            name: format!("{}/{name}", tenant.name),
            user,
            rotations: 0,
            expires_at: instant(secret, EXPIRES_AT_ANNOTATION),
            least_left: SignedDuration::MAX,
            least_life: SignedDuration::MAX,
        };
        let stored_as = secret.resource_version().expect("resource version");
        self.mounts.insert((tenant.name.clone(), name), Mount { folder, coming: Vec::new(), stored_as, file });
    }
}

/// Takes each version of each Secret as it is written. What a version tells is coherent, and its end is never before that of the last one.
async fn watch(tenant: Arc<Tenant>, state: Arc<Mutex<State>>) {
    let mut changes = std::pin::pin!(watcher(tenant.secrets(), watcher::Config::default()).applied_objects());
    while let Some(secret) = changes.next().await {
        let Ok(secret) = secret else {
            tokio::time::sleep(Duration::from_secs(1)).await; // the apiserver is down
            continue;
        };
        let name = secret.name_any().trim_end_matches("-db").to_owned();
        let (version, expires_at) =
            (secret.resource_version().expect("version"), instant(&secret, EXPIRES_AT_ANNOTATION));
        let mut held = held(&state);
        let mount = held.mounts.get_mut(&(tenant.name.clone(), name.clone())).expect("a Secret of ours");
        if mount.stored_as == version {
            continue;
        }
        let (data, before) = (data(&secret), mount.file.expires_at);
        let issued = instant(&secret, ISSUED_AT_ANNOTATION).strftime("%Y%m%dT%H%M%SZ").to_string();
        let token = String::from_utf8_lossy(&data["password"]).into_owned();
        assert!(token.contains(&format!("X-Amz-Date={issued}&")), "{}: signed when it says", mount.file.name);
        assert_eq!(data["token-expires-at"], expires_at.to_string().into_bytes(), "{}", mount.file.name);
        assert!(expires_at >= before, "{}: its end went back from {before} to {expires_at}", mount.file.name);
        mount.stored_as = version;
        mount.file.expires_at = expires_at;
        mount.file.rotations += 1;
        mount.file.least_life = mount.file.least_life.min(expires_at.duration_since(now()));
        let number = mount.file.rotations;
        write(&mount.folder, number, &data);
        mount.coming.push((Instant::now(), number));
        held.logins.push(tokio::spawn(log_in(tenant.clone(), name, format!("..{number}"), state.clone())));
    }
}

/// Lays each version out when it is so old.
async fn copy(state: Arc<Mutex<State>>, late: Duration) {
    loop {
        for mount in held(&state).mounts.values_mut() {
            while mount.coming.first().is_some_and(|(written, _)| written.elapsed() >= late) {
                show(&mount.folder, mount.coming.remove(0).1);
            }
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn write(folder: &Path, version: usize, data: &BTreeMap<String, Vec<u8>>) {
    let dated = folder.join(format!("..{version}"));
    std::fs::create_dir_all(&dated).expect("a folder");
    for (key, value) in data {
        std::fs::write(dated.join(key), value).expect("a file");
        let _ = symlink(Path::new("..data").join(key), folder.join(key)); // there from the first version on
    }
}

/// All files change at once, by the one link that they are behind.
fn show(folder: &Path, version: usize) {
    let (link, next) = (folder.join("..data"), folder.join("..data_tmp"));
    symlink(format!("..{version}"), &next).expect("a link");
    std::fs::rename(next, link).expect("a link");
}

/// Opens a session with the files of a version alone, by the stock client: of the one that a reader sees, or of one that was just written.
async fn log_in(tenant: Arc<Tenant>, name: String, version: String, state: Arc<Mutex<State>>) {
    let (is_late, folder) = (version == "..data", tenant.mount(&name).join(version));
    let login = tokio::task::spawn_blocking({
        let tenant = tenant.clone();
        move || {
            let expires_at = std::fs::read_to_string(folder.join("token-expires-at")).expect("a file");
            let left = expires_at.parse::<Timestamp>().expect("an instant").duration_since(now());
            (left, tenant.world.client_sql(tenant.database, &folder.join("my.cnf"), "SELECT 1"))
        }
    });
    let (left, answer) = login.await.expect("a login");
    let mut state = held(&state);
    match answer {
        Ok(_) => {
            state.opened += 1;
            state.fresh += u64::from(!is_late);
        }
        Err(error) => {
            let first = error.lines().next().unwrap_or_default();
            state.refused.push(format!("{}/{name} at {} with {left:#} left: {first}", tenant.name, now()));
        }
    }
    let file = &mut state.mounts.get_mut(&(tenant.name.clone(), name)).expect("mounted").file;
    if is_late {
        file.least_left = file.least_left.min(left);
    }
}

fn data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}
