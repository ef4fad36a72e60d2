//! Small disks that are really full, or really stand still: over the data folder of a pipeline, or over a part of it, in a
//! mount namespace of the pipeline's own.
//!
//! Needs Linux, and root or a system that lets users make user namespaces; where that is not so, these tests fail and say
//! it. Nothing of it is seen outside the pipeline's processes, and all of it is gone when they end.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};

/// Whatever the folder holds is copied onto the disk first; it lies where the test's processes find it by the same path.
const MOUNT: &str = r#"
folder=$1 size=$2 kind=$3
shift 3
make() {
    case $kind in
        tmpfs) mount -t tmpfs -o "size=$size,mode=700" tmpfs "$folder" ;;
        ext4)
            image=$(mktemp) && truncate -s "$size" "$image" && mkfs.ext4 -q "$image" &&
                mount -o loop "$image" "$folder" && rm "$image" && rmdir "$folder/lost+found" ;;
    esac
}
kept=$(mktemp -d) && cp -a "$folder/." "$kept" && make && cp -a "$kept/." "$folder" && rm -r "$kept" && exec "$@"
"#;

/// Freezes a file system until its input ends: it goes on then, also when the test was killed meanwhile.
const FREEZE: &str = r#"fsfreeze --freeze "$1" && echo frozen && cat > /dev/null && fsfreeze --unfreeze "$1""#;

/// Written at once while a disk is being filled; then in pages, until not even one fits.
const FILL_BYTES: [usize; 2] = [256 * 1024, 4 * 1024];

/// Where and how small.
#[derive(Clone, Debug)]
pub struct SmallDisk {
    /// The folder below the data folder; all of it when empty.
    pub part: &'static str,
    pub mebibytes: u32,
    pub kind: Kind,
}

/// What a disk is made of.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Memory: a tmpfs.
    Memory,
    /// A file with an ext4 in it, behind a loop device: it can be frozen. Only for root.
    Image,
}

/// The disk of a running pipeline.
pub struct Mounted {
    process: u32,
    folder: PathBuf,
    mebibytes: u32,
}

impl SmallDisk {
    /// The command, run on this disk.
    pub fn under(&self, data: &Path, command: &Command) -> anyhow::Result<Command> {
        check()?;
        let mut wrapped = Command::new("unshare");
        wrapped.args(namespaces()?).args(["--propagation", "private", "sh", "-c", MOUNT, "sh"]);
        wrapped.arg(self.folder(data)).arg(format!("{}M", self.mebibytes)).arg(self.kind.file_system());
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(wrapped)
    }

    /// The disk as the process with this id sees it.
    pub fn of(&self, process: u32, data: &Path) -> Mounted {
        Mounted { process, folder: self.folder(data), mebibytes: self.mebibytes }
    }

    fn folder(&self, data: &Path) -> PathBuf {
        if self.part.is_empty() { data.to_path_buf() } else { data.join(self.part) }
    }
}

impl Kind {
    fn file_system(self) -> &'static str {
        match self {
            Self::Memory => "tmpfs",
            Self::Image => "ext4",
        }
    }
}

/// A disk that stands still: whatever writes to it waits, for as long as this value lives.
pub struct Frozen {
    keeper: Child,
}

impl Frozen {
    /// The disk goes on.
    pub fn thaw(mut self) -> anyhow::Result<()> {
        drop(self.keeper.stdin.take());
        let status = self.keeper.wait()?;
        ensure!(status.success(), "cannot thaw the disk: {status}");
        Ok(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _thawed_before = self.keeper.wait();
    }
}

impl Mounted {
    /// Holds the disk still.
    pub fn freeze(&self) -> anyhow::Result<Frozen> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process.to_string(), "--mount", "sh", "-c", FREEZE, "sh"]).arg(&self.folder);
        let keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run nsenter")?;
        let mut frozen = Frozen { keeper };
        let mut told = String::new();
        let stdout = frozen.keeper.stdout.take().context("the keeper has an output")?;
        BufReader::new(stdout).read_line(&mut told)?;
        ensure!(told.trim() == "frozen", "cannot freeze the disk: {told:?}");
        Ok(frozen)
    }

    /// Writes a file until nothing fits any more; again, until nothing fits of what has become free since.
    pub fn fill(&self) -> anyhow::Result<()> {
        let filler = File::options().create(true).append(true).open(self.filler());
        let mut filler = filler.context("cannot reach the small disk")?;
        for bytes in FILL_BYTES {
            let block = vec![b'x'; bytes];
            loop {
                match filler.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("cannot fill the small disk"),
                }
            }
        }
        Ok(())
    }

    /// Takes the file away again.
    pub fn empty(&self) -> anyhow::Result<()> {
        fs::remove_file(self.filler()).context("cannot empty the small disk")
    }

    /// Makes the disk larger instead, as an operator would; each time by as much.
    pub fn enlarge(&mut self, by_mebibytes: u32) -> anyhow::Result<()> {
        self.mebibytes += by_mebibytes;
        let size = format!("remount,size={}m", self.mebibytes);
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process.to_string()]);
        command.args(if is_root()? { &["--mount"][..] } else { &["--user", "--preserve-credentials", "--mount"][..] });
        let output = command.args(["mount", "-o", &size]).arg(&self.folder).output().context("cannot run nsenter")?;
        ensure!(output.status.success(), "cannot enlarge the disk: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The process's own view of its file systems.
    fn filler(&self) -> PathBuf {
        let path = format!("/proc/{}/root{}/filler", self.process, self.folder.display());
        PathBuf::from(path)
    }
}

/// Says what is missing where the system does not let us.
fn check() -> anyhow::Result<()> {
    const WANTED: &str = "this test needs a small disk of its own, a tmpfs in a mount namespace: run it on Linux, as root or \
                          where users may make user namespaces, with unshare and nsenter (util-linux)";
    let mut command = Command::new("unshare");
    command.args(namespaces()?).args(["--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
    let output = command.output().context(WANTED)?;
    ensure!(output.status.success(), "{WANTED}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn namespaces() -> anyhow::Result<&'static [&'static str]> {
    Ok(if is_root()? { &["--mount"] } else { &["--map-root-user", "--mount"] })
}

/// A file in `/proc/self` belongs to whom we are.
pub fn is_root() -> anyhow::Result<bool> {
    Ok(fs::metadata("/proc/self").context("this test needs Linux's /proc")?.uid() == 0)
}
