//! Whether the services answer: "up" is said only when what is pasted next works.

use std::{net::SocketAddr, time::Duration};

use tokio::time::{Instant, sleep};

use super::steps::Steps;

/// How long it is waited for. A service that is not ready by then may become so later: it is told and left to itself.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(2);

/// A service and where it answers.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Its address.
    pub address: SocketAddr,
}

/// Returns when every service is ready, or has been waited for long enough.
pub async fn wait(places: &[Place], steps: &Steps) {
    let Ok(http) = reqwest::Client::builder().timeout(LOOK).no_proxy().build() else { return };
    let deadline = Instant::now() + PATIENCE;
    for place in places {
        while let Err(why) = look(&http, place.address).await {
            if Instant::now() > deadline {
                steps.done(place.name, format_args!("not ready yet: {why}"));
                break;
            }
            sleep(PAUSE).await;
        }
    }
}

async fn look(http: &reqwest::Client, address: SocketAddr) -> Result<(), String> {
    let answer = http.get(format!("http://{address}/health/ready")).send().await.map_err(|error| error.to_string())?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(answer.text().await.unwrap_or_default())
}
