//! Rows 26 to 28: compression, encryption, keys.

use super::join::pair_with;
use crate::agents::Serf;
use crate::place::{Outcome, Place, ensure, pause, secs, throughout, until};
use crate::subject::{Options, Subject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proconsul_core::gossip::{Event, KeyOp};
use proconsul_core::types::MemberStatus;

/// A key of so many bytes.
pub(super) fn key(first: u8, bytes: u8) -> String {
    let raw: Vec<u8> = (0..bytes).map(|byte| byte.wrapping_mul(7).wrapping_add(first)).collect();
    STANDARD.encode(raw)
}

pub(super) async fn compression(place: Place) -> Outcome {
    let packing = Serf::start(&place, "s1", 2, &[]).await?;
    let plain = Serf::start(&place, "s2", 3, &["-disable-compression"]).await?;
    for (real, name) in [(&packing, "s1"), (&plain, "s2")] {
        for (compress, host) in [(true, 9), (false, 10)] {
            // Enough text for packing to be worth its while.
            let mut options = Options::serf(&place, &format!("p{host}"), host);
            options.config.tags.insert("long".into(), "abcdefgh".repeat(30).into());
            options.config.compress = compress;
            let ours = Subject::start(options).await?;
            ours.join(real.address).await?;
            let shown = format!("p{host}");
            until(secs(5), || real.lists(&shown, "alive")).await?;
            until(secs(5), || ours.holds(name, MemberStatus::Alive)).await?;
            throughout(secs(3), secs(1), || async {
                real.lists(&shown, "alive").await?;
                ours.holds(name, MemberStatus::Alive).await
            })
            .await?;
            let line = real.line(&shown).await.unwrap_or_default();
            ensure(line.2.contains("abcdefghabcdefgh"), || format!("{line:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn encryption(place: Place) -> Outcome {
    for (round, bytes) in [(0, 16), (1, 24), (2, 32_u8)] {
        let key = key(round, bytes);
        let name = format!("s{bytes}");
        let real = Serf::start(&place, &name, 2 + round, &["-encrypt", &key]).await?;
        let member = format!("p{bytes}");
        let options = Options::serf(&place, &member, 12 + round).keys(&[&key])?;
        let ours = Subject::start(options).await?;
        ours.join(real.address).await?;
        until(secs(5), || real.lists(&member, "alive")).await?;
        throughout(secs(3), secs(1), || async {
            real.lists(&member, "alive").await?;
            ours.holds(&name, MemberStatus::Alive).await
        })
        .await?;
        let open = Subject::start(Options::serf(&place, "open", 22 + round)).await?;
        // Its answer is encrypted too, so the reason is in words only in its own log.
        let refused = open.join(real.address).await.err().unwrap_or_default();
        ensure(refused.contains("Remote state is encrypted"), || {
            format!("the plaintext member was told {refused:?}")
        })?;
        let log = real.process.log();
        let reason = "Encryption is configured but remote state is not encrypted";
        ensure(log.contains(reason), || format!("its log lacks {reason:?}:\n{log}"))?;
        // The other way about.
        let plain = Serf::start(&place, &format!("t{bytes}"), 32 + round, &[]).await?;
        let said = plain.ask(&["join", &ours.address().to_string()]).await;
        ensure(said.contains("rror"), || format!("a plaintext agent joined us: {said}"))?;
    }
    Ok(())
}

pub(super) async fn rotation(place: Place) -> Outcome {
    let (k1, k2, k3) = (key(1, 32), key(2, 16), key(3, 24));
    let options = Options::serf(&place, "p1", 9).keys(&[&k1])?;
    let (real, ours) = pair_with(&place, &["-encrypt", &k1], options).await?;
    for (words, wanted) in [
        (["keys", "-install", &k2], "Successfully installed"),
        (["keys", "-use", &k2], "Successfully changed"),
        (["keys", "-remove", &k1], "Successfully removed"),
    ] {
        let said = real.ask(&words).await;
        ensure(said.contains(wanted), || format!("{words:?}: {said}"))?;
    }
    let said = real.ask(&["keys", "-list"]).await;
    ensure(said.contains(&k2) && said.contains("[2/2]") && !said.contains(&k1), || said.clone())?;
    pause(2000).await;
    throughout(secs(3), secs(1), || real.lists("p1", "alive")).await?;
    let said = real.ask(&["keys", "-remove", &k2]).await;
    let refused = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure(refused.contains("p1 Removing the primary key is not allowed"), || said.clone())?;
    // The same, asked by us.
    let raw = STANDARD.decode(&k3).unwrap_or_default();
    for op in [KeyOp::Install(raw.clone().into()), KeyOp::Use(raw.into()), KeyOp::List] {
        let asked = ours.keys(op.clone());
        let (_, report) = ours
            .hears("a report of keys", 10, |event| {
                let Event::Keys(of, report) = event else {
                    return None;
                };
                (*of == asked).then(|| report.clone())
            })
            .await?;
        ensure(report.error.is_none() && report.members == 2 && report.answered == 2, || {
            format!("{op:?}: {report:?}")
        })?;
        if op == KeyOp::List {
            ensure(
                report.keys.get(&k3) == Some(&2) && report.primary_keys.get(&k3) == Some(&2),
                || format!("{report:?}"),
            )?;
        }
    }
    real.lists("p1", "alive").await
}
