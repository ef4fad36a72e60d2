//! A service in a root and a network of its own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use testkit::{ChildProcess, wait_until};

use super::{
    PATIENCE,
    file::{ComposeFile, Service},
    network::Network,
    stage::{Stage, run},
};

/// The path of the images, and of those who look after them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Makes the root: this machine's programs and libraries, read-only, and what is mounted into it. Then becomes the service.
/// Arguments: the folder, whether the root is read-only, pairs of source and target, `--`, the command.
const ENTER: &str = r#"
set -e
root=$1 is_read_only=$2
shift 2
mkdir -p "$root/etc" "$root/proc" "$root/dev"
mount --bind "$root" "$root"
for name in usr bin sbin lib lib32 lib64; do
    if [ -L "/$name" ]; then
        cp -P "/$name" "$root/$name"
    elif [ -d "/$name" ]; then
        mkdir "$root/$name"
        mount --rbind "/$name" "$root/$name"
        mount -o remount,bind,ro "$root/$name"
    fi
done
mount -t tmpfs tmpfs "$root/usr/local/bin"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
cp /etc/nsswitch.conf /etc/passwd /etc/group "$root/etc"
while [ "$1" != -- ]; do
    target=$root$2
    if [ -d "$1" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}" && touch "$target"; fi
    mount --bind "$1" "$target"
    shift 2
done
shift
[ "$is_read_only" = false ] || mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"#;

/// What an image brings.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its program, as it lies here and in the image.
    pub program: (PathBuf, PathBuf),
    pub entrypoint: Vec<String>,
    /// User and group; root where nothing is said.
    pub user: Option<(u32, u32)>,
}

/// A service that was started.
#[derive(Debug)]
pub struct Container {
    service: Service,
    image: Image,
    has_users: bool,
    process: ChildProcess,
}

impl Container {
    /// Starts it.
    pub fn start(
        stage: &Stage,
        file: &ComposeFile,
        network: &Network,
        service: Service,
        image: Image,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", Network::namespace(&service.name).display()));
        command.args(["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(stage.folder().join("containers").join(&service.name));
        command.arg((service.raw["read_only"] == true).to_string());
        for (source, target) in mounts(stage, file, network, &service, &image)? {
            command.arg(source).arg(target);
        }
        command.arg("--").args(privileges(&service, &image, stage.has_users()));
        command.args(image.entrypoint.iter().chain(&service.command));
        set_environment(&mut command, &service);
        let process = ChildProcess::spawn(command).with_context(|| format!("cannot start {}", service.name))?;
        Ok(Self { service, image, has_users: stage.has_users(), process })
    }

    /// Waits until the service's own check succeeds.
    pub fn wait_until_healthy(&mut self) -> anyhow::Result<()> {
        let check =
            self.service.health.clone().with_context(|| format!("{} has no health check", self.service.name))?;
        let mut last = String::new();
        let healthy = wait_until(&format!("the health of {}", self.service.name), PATIENCE, || {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(Err(anyhow::anyhow!("it ended with {status}")));
            }
            match self.execute(&check) {
                Ok(_) => Some(Ok(())),
                Err(error) => {
                    last = format!("{error:#}");
                    None
                }
            }
        });
        healthy.and_then(|outcome| outcome).with_context(|| format!("{last}\n{}", self.said()))
    }

    /// Waits for the successful end of a job.
    pub fn wait_until_done(&mut self) -> anyhow::Result<()> {
        let status = self.process.wait(PATIENCE)?;
        ensure!(status.success(), "it ended with {status}\n{}", self.said());
        Ok(())
    }

    /// The port of its own that the host passes on.
    pub fn published_port(&self) -> Option<u64> {
        self.service.raw["ports"][0]["target"].as_u64()
    }

    /// SIGTERM; it must end by itself, and successfully.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process.terminate()?;
        let status = self.process.wait(PATIENCE)?;
        ensure!(status.success(), "{} ended with {status}\n{}", self.service.name, self.said());
        Ok(())
    }

    /// Runs a command beside it, as Docker's `exec` does.
    pub fn execute(&self, words: &[String]) -> anyhow::Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process.id().to_string(), "--net", "--mount", "--root", "--wd"]);
        command.args(privileges(&self.service, &self.image, self.has_users)).args(words);
        set_environment(&mut command, &self.service);
        run(&mut command)
    }

    fn said(&self) -> String {
        format!("{} said:\n{}", self.service.name, self.process.output())
    }
}

fn set_environment(command: &mut Command, service: &Service) {
    command.env_clear().env("PATH", PATH).envs(&service.environment);
}

/// Becomes the image's user without the privileges that the file takes away.
fn privileges(service: &Service, image: &Image, has_users: bool) -> Vec<String> {
    let mut words = vec!["setpriv".to_owned()];
    if let Some((user, group)) = image.user.filter(|_| has_users) {
        words.extend([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    if service.raw["cap_drop"][0] == "ALL" {
        words.extend(["--bounding-set=-all", "--inh-caps=-all"].map(str::to_owned));
    }
    if service.raw["security_opt"][0] == "no-new-privileges:true" {
        words.push("--no-new-privs".to_owned());
    }
    words
}

/// The program, the names, and what the file mounts.
fn mounts(
    stage: &Stage,
    file: &ComposeFile,
    network: &Network,
    service: &Service,
    image: &Image,
) -> anyhow::Result<Vec<(OsString, OsString)>> {
    let (here, there) = &image.program;
    let mut mounts = vec![(here.clone(), there.clone()), (network.hosts().to_owned(), PathBuf::from("/etc/hosts"))];
    for config in service.raw["configs"].as_array().into_iter().flatten() {
        let (source, target) = source_and_target(config)?;
        mounts.push((file.config_file(source)?, PathBuf::from(target)));
    }
    for volume in service.raw["volumes"].as_array().into_iter().flatten() {
        ensure!(volume["type"] == "volume", "{} mounts something else than a volume: {volume}", service.name);
        let (source, target) = source_and_target(volume)?;
        mounts.push((volume_folder(stage.folder(), source)?, PathBuf::from(target)));
    }
    Ok(mounts.into_iter().map(|(source, target)| (source.into(), target.into())).collect())
}

fn source_and_target(mount: &serde_json::Value) -> anyhow::Result<(&str, &str)> {
    mount["source"].as_str().zip(mount["target"].as_str()).with_context(|| format!("{mount} has no source or target"))
}

/// A volume is a folder that outlives its containers.
fn volume_folder(stage: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = stage.join("volumes").join(name);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
