//! Launches in by HTTP, consolidated days out.

use std::collections::BTreeSet;

use crate::{
    client::Client,
    model::{Model, random_launches},
    pipeline::Pipeline,
};

#[tokio::test(flavor = "multi_thread")]
async fn days_are_exact_whatever_the_form_of_posting() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    let client = Client::new(&pipeline)?;
    let launches = random_launches(7, 12, 3_000);
    let mut model = Model::default();
    let mut position = String::new();
    for (number, group) in launches.chunks(250).enumerate() {
        let answer = match number % 3 {
            0 => client.post_ndjson(group).await?,
            1 => client.post_array(group).await?,
            _ => {
                for launch in &group[1..] {
                    assert_eq!(client.post(launch).await?.status, 201);
                }
                client.post_ndjson(&group[..1]).await?
            }
        };
        assert_eq!(answer.status, 200, "{answer:?}");
        group.iter().for_each(|launch| model.add(launch));
        answer.body["position"].as_str().unwrap_or_default().clone_into(&mut position);
    }
    // Everything again, in another order and another form: nothing may count twice.
    let reversed: Vec<_> = launches.iter().rev().cloned().collect();
    let again = client.post_ndjson(&reversed).await?;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.body["rejected"], 0, "{again:?}");
    pipeline.wait_until_applied().await?;
    client.check(&model, None).await?;

    let account = "store-3";
    let date = model.dates_of(account).into_iter().next().unwrap_or_default();
    let listed = client.listed_ids(account, &date, 2).await?;
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), model.ids_of(account, &date));
    assert_eq!(listed.len(), model.ids_of(account, &date).len(), "a launch is listed once");
    pipeline.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_always_reads_its_own_writes() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    let tasks: Vec<_> = (0..8_u64).map(|seed| tokio::spawn(write_and_read(Client::new(&pipeline), seed))).collect();
    for task in tasks {
        task.await??;
    }
    pipeline.stop().await
}

async fn write_and_read(client: anyhow::Result<Client>, seed: u64) -> anyhow::Result<()> {
    let client = client?;
    let mut model = Model::default();
    for mut launch in random_launches(seed, 2, 100) {
        launch.account = format!("writer-{seed}-{}", launch.account);
        let posted = client.post(&launch).await?;
        anyhow::ensure!(posted.status == 201, "{posted:?}");
        model.add(&launch);
        let path = format!("/v1/accounts/{}/days/{}", launch.account, launch.date);
        let day = client.get(&path, posted.body["position"].as_str()).await?;
        let expected = model.day(&launch.account, &launch.date);
        anyhow::ensure!(day.body["currencies"] == expected, "read {}, expected {expected}", day.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_day_is_not_sent_again_and_a_changed_one_is() -> anyhow::Result<()> {
    let pipeline = Pipeline::start().await?;
    let client = Client::new(&pipeline)?;
    let launches = random_launches(5, 1, 2);
    let path = format!("/v1/accounts/{}/days/{}", launches[0].account, launches[0].date);
    let first = client.post(&launches[0]).await?;
    let read = client.get(&path, first.body["position"].as_str()).await?;
    assert_eq!(read.header("saldo-position"), first.body["position"]);
    let unchanged = client.get_if_changed(&path, read.header("etag")).await?;
    assert_eq!(unchanged.status, 304, "{unchanged:?}");
    assert_eq!(unchanged.header("saldo-position"), read.header("saldo-position"));

    let mut second = launches[1].clone();
    second.date.clone_from(&launches[0].date);
    let posted = client.post(&second).await?;
    client.get(&path, posted.body["position"].as_str()).await?;
    let changed = client.get_if_changed(&path, read.header("etag")).await?;
    assert_eq!(changed.status, 200, "{changed:?}");
    let mut model = Model::default();
    [&launches[0], &second].into_iter().for_each(|launch| model.add(launch));
    assert_eq!(changed.body["currencies"], model.day(&second.account, &second.date));
    pipeline.stop().await
}
