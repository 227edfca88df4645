//! Rows 32 to 40, 42: ours among real Consul servers.

use super::crypto::key;
use crate::consul::{Consul, LAN_PORT, client, server, wan_server};
use crate::place::{Outcome, Place, ensure, pause, secs, throughout, until};
use crate::subject::{Options, PORT, Subject};
use proconsul_core::gossip::{Admission, Event, Input};
use proconsul_core::wire::consul_event;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Output of a living agent's check.
const ALIVE: &str = "Agent alive and reachable";
/// Output of a dead one's.
const DEAD: &str = "Agent not live or unreachable";

/// Its line about our client.
fn shown(place: &Place, status: &str) -> String {
    format!("p1 {} {status} client 1.8.7 2 dc1 <default>", place.at(9, PORT))
}

/// A real server and our client `p1`, met.
async fn pair(place: &Place) -> Outcome<(Consul, Subject)> {
    let consul = Consul::start(place).await?;
    let ours = Subject::start(client(place.at(9, PORT), "p1")).await?;
    ours.join(consul.lan).await?;
    until(secs(5), || consul.shows(false, shown(place, "alive"))).await?;
    until(secs(10), || consul.health("p1", "passing", ALIVE)).await?;
    Ok((consul, ours))
}

pub(super) async fn client_(place: Place) -> Outcome {
    let (consul, _ours) = pair(&place).await?;
    throughout(secs(60), secs(5), || async {
        consul.shows(false, shown(&place, "alive")).await?;
        consul.health("p1", "passing", ALIVE).await
    })
    .await
}

pub(super) async fn refused(place: Place) -> Outcome {
    let consul = Consul::start(&place).await?;
    let about = consul.get("/v1/agent/self").await?;
    let about: serde_json::Value = serde_json::from_str(&about).map_err(|e| e.to_string())?;
    let id = about["Config"]["NodeID"].as_str().unwrap_or_default().to_owned();
    ensure(!id.is_empty(), || "it has no id".to_owned())?;
    for (host, name, tag, value, text) in [
        (9, "w1", "dc", "dc9", "Member 'w1' part of wrong datacenter 'dc9'".to_owned()),
        (
            10,
            "w2",
            "segment",
            "alpha",
            "Member 'w2' part of wrong segment 'alpha' (expected '')".to_owned(),
        ),
        (
            11,
            "w3",
            "id",
            &id,
            format!("Member 'w3' has conflicting node ID '{id}' with this agent's ID"),
        ),
    ] {
        let mut options = client(place.at(host, PORT), name);
        options.config.tags.insert(tag.into(), value.into());
        let ours = Subject::start(options).await?;
        // What comes back is a full answer: the refusal is only in its log.
        drop(ours.join(consul.lan).await);
        until(secs(5), || async {
            let log = consul.process.log();
            ensure(log.contains(&text), || format!("its log lacks {text:?}"))
        })
        .await?;
        pause(1000).await;
        let line = consul.line(name, false).await;
        ensure(line.is_none(), || format!("{name} is listed: {line:?}"))?;
    }
    Ok(())
}

pub(super) async fn fails(place: Place) -> Outcome {
    let (consul, ours) = pair(&place).await?;
    drop(ours);
    until(secs(15), || consul.health("p1", "critical", DEAD)).await?;
    consul.shows(false, shown(&place, "failed")).await?;
    let again = Subject::start(client(place.at(9, PORT), "p1")).await?;
    again.join(consul.lan).await?;
    until(secs(5), || consul.shows(false, shown(&place, "alive"))).await?;
    until(secs(10), || consul.health("p1", "passing", ALIVE)).await.map(|_| ())
}

pub(super) async fn leaves(place: Place) -> Outcome {
    let (consul, ours) = pair(&place).await?;
    ours.tell(Input::Leave);
    until(secs(6), || consul.shows(false, shown(&place, "left"))).await?;
    until(secs(10), || async {
        let body = consul.get("/v1/health/node/p1").await?;
        ensure(body.trim() == "[]", || format!("still in the catalog: {body}"))
    })
    .await
    .map(|_| ())
}

pub(super) async fn events(place: Place) -> Outcome {
    let (consul, ours) = pair(&place).await?;
    let words = ["event", "-name", "deploy", "-node", "^p", "-service", "web", "-tag", "t", "x"];
    let said = consul.ask(&words).await;
    let id = said.trim().strip_prefix("Event ID: ").unwrap_or_default().to_owned();
    ensure(id.len() == 36, || said.clone())?;
    let (_, payload) = ours
        .hears("the event", 10, |event| {
            let Event::User { name, payload, .. } = event else {
                return None;
            };
            (&**name == "consul:event:deploy").then(|| payload.clone())
        })
        .await?;
    let event = consul_event::decode(&payload).map_err(|error| format!("{error:?}"))?;
    let mut wanted = event.clone();
    wanted.id = id.as_str().into();
    wanted.name = "deploy".into();
    wanted.node_filter = "^p".into();
    wanted.service_filter = "web".into();
    wanted.tag_filter = "t".into();
    wanted.payload = "x".into();
    wanted.version = 1;
    ensure(event == wanted, || format!("{event:?}, not {wanted:?}"))?;
    // And the other way.
    let id = "11111111-2222-3333-4444-555555555555";
    let back = consul_event::Event {
        id: id.into(),
        name: "back".into(),
        node_filter: "".into(),
        service_filter: "".into(),
        tag_filter: "".into(),
        ..wanted
    };
    let payload = consul_event::encode(&back);
    ours.tell(Input::Fire { name: "consul:event:back".into(), payload, coalesce: false });
    until(secs(10), || async {
        let body = consul.get("/v1/event/list").await?;
        let listed: serde_json::Value = serde_json::from_str(&body).map_err(|e| e.to_string())?;
        let mut all = listed.as_array().into_iter().flatten();
        let held = all.any(|e| e["ID"] == id && e["Name"] == "back" && e["Payload"] == "eA==");
        ensure(held, || format!("it lists {body}"))
    })
    .await
    .map(|_| ())
}

pub(super) async fn wan(place: Place) -> Outcome {
    let consul = Consul::start(&place).await?;
    let ours = Subject::start(wan_server(place.at(9, PORT), "p1.dc2", "dc2")).await?;
    ours.join(consul.wan).await?;
    let wanted = format!("p1.dc2 {} alive server 1.8.7 2 dc2 <all>", place.at(9, PORT));
    until(secs(10), || consul.shows(true, &wanted)).await?;
    until(secs(10), || async {
        let body = consul.get("/v1/catalog/datacenters").await?;
        ensure(body.contains("\"dc2\""), || body.clone())
    })
    .await?;
    let mut options = wan_server(place.at(10, PORT), "w1", "dc2");
    options.config.tags.insert("role".into(), "node".into());
    let stranger = Subject::start(options).await?;
    drop(stranger.join(consul.wan).await);
    until(secs(5), || async {
        let log = consul.process.log();
        ensure(log.contains("Member 'w1' is not a server"), || "not refused".to_owned())
    })
    .await?;
    consul.shows(true, &wanted).await
}

/// A client dies, and a server of the WAN takes its address. The LAN still looks for the client
/// there, with all that it knows.
pub(super) async fn guarded(place: Place) -> Outcome {
    let (consul, ours) = pair(&place).await?;
    drop(ours);
    pause(500).await;
    let (lan, visits) = (consul.lan, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&visits);
    let mut options = wan_server(place.at(9, PORT), "p1.dc2", "dc2");
    options.config.admission = Admission::Servers;
    options.tap = Some(Arc::new(move |from, _: &[u8]| {
        counted.fetch_add(usize::from(from == lan), Ordering::Relaxed);
        true
    }));
    let wan = Subject::start(options).await?;
    wan.join(consul.wan).await?;
    let wanted = format!("p1.dc2 {} alive server 1.8.7 2 dc2 <all>", place.at(9, PORT));
    until(secs(10), || consul.shows(true, &wanted)).await?;
    // Its reconnects, every 30 s, are full exchanges.
    throughout(secs(50), secs(1), || async {
        let names = wan.look(|gossip| -> Vec<String> {
            gossip.members().map(|member| member.name.to_string()).collect()
        });
        let names = names.await?;
        let only_wan = names.iter().all(|name| name == "p1.dc2" || name == "cs1.dc1");
        ensure(only_wan, || format!("the WAN holds {names:?}"))
    })
    .await?;
    ensure(visits.load(Ordering::Relaxed) > 0, || "the LAN never looked for it".to_owned())?;
    // The dead client and the server come in any order, and the first of them is named.
    let merge = "Failed push/pull merge: Member '";
    let refused = |event: &Event| {
        matches!(event, Event::Notice(text) if text.starts_with(merge)).then_some(())
    };
    wan.hears("refusal of a LAN name", 1, refused).await?;
    consul.shows(true, &wanted).await?;
    consul.shows(false, shown(&place, "failed")).await
}

pub(super) async fn flooded(place: Place) -> Outcome {
    let consul = Consul::start(&place).await?;
    let wan = Subject::start(wan_server(place.at(9, PORT + 1), "p1.dc1", "dc1")).await?;
    let lan = Subject::start(server(place.at(9, PORT), "p1", wan.address().port())).await?;
    lan.join(consul.lan).await?;
    let wanted = format!("p1.dc1 {} alive server 1.8.7 2 dc1 <all>", wan.address());
    until(secs(70), || consul.shows(true, &wanted)).await?;
    let known = wan.look(|gossip| gossip.member("cs1.dc1").is_some()).await?;
    ensure(known, || "we do not know who met us".to_owned())
}

pub(super) async fn reclaim(place: Place) -> Outcome {
    let (consul, ours) = pair(&place).await?;
    drop(ours);
    until(secs(15), || consul.shows(false, shown(&place, "failed"))).await?;
    let moved = || client(place.at(10, PORT), "p1");
    let early = Subject::start(moved()).await?;
    drop(early.join(consul.lan).await);
    throughout(secs(5), secs(1), || consul.shows(false, shown(&place, "failed"))).await?;
    drop(early);
    pause(28_000).await;
    let late = Subject::start(moved()).await?;
    late.join(consul.lan).await?;
    let wanted = format!("p1 {} alive client 1.8.7 2 dc1 <default>", late.address());
    until(secs(10), || consul.shows(false, &wanted)).await.map(|_| ())
}

pub(super) async fn keys(place: Place) -> Outcome {
    let (k1, k2) = (key(1, 32), key(2, 32));
    let first = Consul::start_with(&place, "cs1", 2, &["-dev", "-encrypt", &k1]).await?;
    let data = place.path("cs2").display().to_string();
    let seed = format!("{}", first.lan);
    let more = ["-server", "-data-dir", &data, "-encrypt", &k1, "-retry-join", &seed];
    let second = Consul::start_with(&place, "cs2", 3, &more).await?;
    let options: Options = client(place.at(9, PORT), "p1").keys(&[&k1])?;
    let ours = Subject::start(options).await?;
    ours.join(place.at(2, LAN_PORT)).await?;
    for consul in [&first, &second] {
        until(secs(10), || consul.shows(false, shown(&place, "alive"))).await?;
    }
    // Both servers must have met in the WAN as well before they change its keys together.
    until(secs(40), || async {
        let line = first.line("cs2.dc1", true).await;
        ensure(line.as_ref().is_some_and(|line| line.contains(" alive ")), || format!("{line:?}"))
    })
    .await?;
    for words in
        [["keyring", "-install", &k2], ["keyring", "-use", &k2], ["keyring", "-remove", &k1]]
    {
        let said = first.ask(&words).await;
        ensure(!said.to_lowercase().contains("error"), || format!("{words:?}: {said}"))?;
    }
    let said = first.ask(&["keyring", "-list"]).await;
    let held =
        said.contains("dc1 (LAN)") && said.contains(&format!("{k2} [3/3]")) && !said.contains(&k1);
    ensure(held, || said.clone())?;
    pause(2000).await;
    for consul in [&first, &second] {
        consul.shows(false, shown(&place, "alive")).await?;
    }
    Ok(())
}
