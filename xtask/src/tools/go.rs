//! Programs that Go builds from modules under `xtask/tools`, whose sums pin every dependency.

use std::{fs, path::Path, process::Command};

use crate::{
    root::{root, tools_folder},
    run::{Outcome, output},
};

/// Builds `package` of the module in `xtask/tools/<module>`, with `link_flags`, to `target` in `.tools`: aside first, and moved
/// into place when it is whole.
pub fn build(module: &str, package: &str, link_flags: &str, target: &Path) -> Outcome {
    fs::create_dir_all(tools_folder()).map_err(|error| format!("cannot make .tools: {error}"))?;
    let aside = target.with_added_extension(std::process::id().to_string());
    let mut command = Command::new("go");
    command.args(["build", "-trimpath", "-ldflags"]).arg(format!("-s -w {link_flags}"));
    command.arg("-o").arg(&aside).arg(package);
    output(command.current_dir(root().join("xtask/tools").join(module)))?;
    fs::rename(&aside, target).map_err(|error| format!("cannot make {}: {error}", target.display()))
}
