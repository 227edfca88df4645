//! Rows 41, 44, 45: the agent that is shipped and real ones in one pool.

use crate::agents::Serf;
use crate::consul::{Consul, LAN_PORT};
use crate::place::{LOOK, Outcome, Place, ensure, secs, throughout, until};
use crate::shipped::Shipped;

/// A pool is watched for so long: everyone has been probed several times.
const WATCHED: std::time::Duration = secs(10);

/// Whether a line of tags has all of these.
fn has_tags(line: &str, wanted: &[&str]) -> Outcome {
    let tags: Vec<&str> = line.rsplit(' ').next().unwrap_or_default().split(',').collect();
    let missing = wanted.iter().find(|tag| !tags.contains(tag));
    ensure(missing.is_none(), || format!("{missing:?} is not among {tags:?}"))
}

/// A real client agent joins our server. It cannot use its RPC: only the pool is judged.
pub(super) async fn real_client(place: Place) -> Outcome {
    let server = Shipped::start(&place, "s1", 9, &["-server", "-bootstrap"]).await?;
    let (data, seed) = (place.path("cc1").display().to_string(), server.lan.to_string());
    let more = ["-data-dir", &data, "-retry-join", &seed, "-retry-interval", "1s"];
    let client = Consul::begin(&place, "cc1", 2, &more)?;
    let ours = format!("s1 {} alive server 1.8.7 2 dc1 <all>", server.lan);
    until(secs(30), || client.shows(false, &ours)).await?;
    let theirs = format!("cc1 {} alive client 1.8.7 2 dc1", client.lan);
    until(LOOK, || server.shows(&theirs)).await?;
    throughout(WATCHED, secs(1), || async {
        client.shows(false, &ours).await?;
        server.shows(&theirs).await
    })
    .await?;
    let line = client.details("s1").await.unwrap_or_default();
    has_tags(&line, &["role=consul", "dc=dc1", "build=1.8.7:", "port=19403", "vsn=2"])
}

/// Our client agent joins a real server, which sees it alive and has it in its catalog.
pub(super) async fn our_client(place: Place) -> Outcome {
    let server = Consul::start(&place).await?;
    let seed = server.lan.to_string();
    let more = ["-retry-join", &seed, "-retry-interval", "1s"];
    let ours = Shipped::start(&place, "a1", 9, &more).await?;
    let wanted = format!("a1 {} alive client 1.8.7 2 dc1 <default>", ours.lan);
    until(secs(30), || server.shows(false, &wanted)).await?;
    until(secs(10), || server.health("a1", "passing", "Agent alive and reachable")).await?;
    let theirs = format!("cs1 {} alive server 1.8.7 2 dc1", place.at(2, LAN_PORT));
    throughout(WATCHED, secs(1), || async {
        server.shows(false, &wanted).await?;
        ours.shows(&theirs).await
    })
    .await?;
    let line = server.details("a1").await.unwrap_or_default();
    // It prints its own words for no segment.
    let tags = ["role=node", "dc=dc1", "segment=<default>", "build=1.8.7:", "acls=0"];
    has_tags(&line, &tags)?;
    has_tags(&line, &["vsn=2", "vsn_min=2", "vsn_max=3"])
}

/// A real Serf agent joins our server's pool.
pub(super) async fn real_serf(place: Place) -> Outcome {
    let server = Shipped::start(&place, "a1", 9, &["-server", "-bootstrap"]).await?;
    let seed = server.lan.to_string();
    let serf = Serf::start(&place, "s1", 2, &["-join", &seed]).await?;
    until(LOOK, || serf.lists("a1", "alive")).await?;
    throughout(WATCHED, secs(1), || serf.lists("a1", "alive")).await?;
    let (at, _, tags) = serf.line("a1").await.unwrap_or_default();
    ensure(at == seed && tags.contains("role=consul") && tags.contains("dc=dc1"), || {
        format!("it shows a1 at {at} with {tags}")
    })?;
    let said = serf.ask(&["reachability"]).await;
    ensure(said.contains("Successfully contacted all live nodes"), || said.clone())
}
