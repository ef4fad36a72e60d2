//! A certificate for a server of one test, made by Java's own `keytool`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::binaries::keytool;

/// Of a keystore that lives as long as its test.
pub(super) const KEYSTORE_PASSWORD: &str = "for-one-test";

pub(super) fn keystore(folder: &Path) -> PathBuf {
    folder.join("server.p12")
}

pub(super) fn certificate(folder: &Path) -> PathBuf {
    folder.join("server.pem")
}

/// Makes the server's key, and a certificate for clients to trust.
pub(super) fn make_keystore(folder: &Path) -> anyhow::Result<()> {
    let store = keystore(folder);
    let generate =
        ["-genkeypair", "-keyalg", "EC", "-dname", "CN=saldo-test", "-validity", "2", "-ext", "san=ip:127.0.0.1"];
    run(&store, &generate)?;
    let pem = certificate(folder).display().to_string();
    run(&store, &["-exportcert", "-rfc", "-file", &pem])
}

fn run(store: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(keytool()?);
    command.args(arguments).args(["-alias", "server", "-storetype", "PKCS12", "-storepass", KEYSTORE_PASSWORD]);
    let output = command.arg("-keystore").arg(store).output().context("cannot run keytool")?;
    anyhow::ensure!(output.status.success(), "keytool failed: {}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
