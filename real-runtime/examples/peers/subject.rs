//! The member under test: ours, in this process, with its eyes and ears open to the row.

use crate::place::{Outcome, Place, ensure, secs, text, until};
use proconsul::pool::Bound;
use proconsul::pool::bare::{Bare, Setup, Tap};
use proconsul_core::gossip::{
    Admission, Asked, Config, Event, Gossip, Input, KeyOp, QueryParams, Timing,
};
use proconsul_core::types::{Duration, MemberStatus, Planted, Pool, Rng, Seed, TextMap};
use proconsul_core::wire::crypto::{Key, Keyring};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;

/// Where members under test gossip.
pub(crate) const PORT: u16 = 19110;

/// What a member under test is started with; [`Options::serf`] and change what matters.
pub(crate) struct Options {
    pub(crate) config: Config,
    pub(crate) files: Option<PathBuf>,
    pub(crate) tap: Option<Tap>,
}

impl Options {
    /// A member of a Serf pool, named `name`, with the tag `role=x`.
    pub(crate) fn serf(place: &Place, name: &str, host: u8) -> Self {
        Self::at(place.at(host, PORT), name, &[("role", "x")])
    }

    /// A member at this address with these tags.
    pub(crate) fn at(address: SocketAddr, name: &str, tags: &[(&str, &str)]) -> Self {
        let timing = Timing {
            reconnect_timeout: Duration::from_secs(24 * 3600),
            leave_propagation: Duration::from_secs(1),
            ..Timing::lan()
        };
        let config = Config {
            pool: Pool::Lan,
            name: name.into(),
            advertised: address,
            bind_port: address.port(),
            tags: text_map(tags),
            admission: Admission::Anyone,
            keyring: Keyring::default(),
            verify_incoming: true,
            verify_outgoing: true,
            label: "".into(),
            compress: true,
            delegate_version: 5,
            durable: false,
            rejoin_after_leave: false,
            resolve_conflicts: true,
            allowed: Vec::new(),
            event_bytes_max: 512,
            timing,
            planted: Planted::none(),
        };
        Self { config, files: None, tap: None }
    }

    /// With these keys, the first of them primary.
    pub(crate) fn keys(mut self, keys: &[&str]) -> Outcome<Self> {
        let keys: Result<Vec<Key>, _> = keys.iter().map(|key| Key::from_base64(key)).collect();
        self.config.keyring = Keyring::new(keys.map_err(text)?);
        Ok(self)
    }
}

/// Tags, or what else is a map of texts.
pub(crate) fn text_map(pairs: &[(&str, &str)]) -> TextMap {
    pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

type Told = Arc<Mutex<Vec<(Instant, Event)>>>;

/// A running member.
pub(crate) struct Subject {
    bare: Bare,
    told: Told,
    asked: Mutex<u64>,
}

impl Subject {
    /// Starts it.
    pub(crate) async fn start(options: Options) -> Outcome<Self> {
        let Options { mut config, files, tap } = options;
        config.durable = files.is_some();
        let seed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| u64::from(since.subsec_nanos()) ^ since.as_secs());
        let setup = Setup {
            bound: Bound::at(config.advertised).await.map_err(text)?,
            rng: Rng::new(Seed(seed)).split(&config.name),
            rejoin_file: files.as_ref().map(|folder| folder.join("local.snapshot")),
            keyring_file: files.as_ref().map(|folder| folder.join("local.keyring")),
            tap,
            config,
        };
        let (events, mut received) = mpsc::unbounded_channel();
        let told = Told::default();
        let teller = Arc::clone(&told);
        tokio::spawn(async move {
            while let Some(event) = received.recv().await {
                let mut told = teller.lock().unwrap_or_else(PoisonError::into_inner);
                told.push((Instant::now(), event));
            }
        });
        let bare = Bare::start(setup, events).map_err(text)?;
        Ok(Self { bare, told, asked: Mutex::new(0) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.bare.address()
    }

    pub(crate) fn tell(&self, input: Input) {
        self.bare.tell(input);
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.bare.is_finished()
    }

    fn next(&self) -> Asked {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked += 1;
        Asked(*asked)
    }

    /// Everything told so far.
    pub(crate) fn told(&self) -> Vec<(Instant, Event)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first thing told for which `wanted` says something, and when it was told.
    pub(crate) fn heard<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> Option<(Instant, T)> {
        self.told().iter().find_map(|(at, event)| Some((*at, wanted(event)?)))
    }

    /// How often something was told.
    pub(crate) fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.told().iter().filter(|(_, event)| wanted(event)).count()
    }

    /// Waits until something is told.
    pub(crate) async fn hears<T>(
        &self,
        what: &str,
        seconds: u64,
        wanted: impl Fn(&Event) -> Option<T>,
    ) -> Outcome<(Instant, T)> {
        until(secs(seconds), || async {
            ensure(self.heard(&wanted).is_some(), || {
                format!("not told: {what}; told was {:?}", self.told())
            })
        })
        .await?;
        self.heard(&wanted).ok_or_else(|| what.to_owned())
    }

    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Gossip) -> T + Send + 'static,
    ) -> Outcome<T> {
        self.bare.look(look).await.ok_or_else(|| "the member has stopped".to_owned())
    }

    /// Meets the member at `seed`; the failure is what it says.
    pub(crate) async fn join(&self, seed: SocketAddr) -> Outcome {
        let asked = self.next();
        self.tell(Input::Join { asked, seeds: vec![seed], replay: false });
        let (_, (met, failed)) = self
            .hears("end of a join", 15, |event| {
                let Event::JoinDone(done, met, failed) = event else {
                    return None;
                };
                (*done == asked).then(|| (*met, failed.clone()))
            })
            .await?;
        ensure(met == 1, || format!("{failed:?}"))
    }

    /// Asks everyone.
    pub(crate) fn query(&self, name: &str) -> Asked {
        let asked = self.next();
        let params = QueryParams {
            name: name.into(),
            payload: bytes::Bytes::new(),
            filters: Vec::new(),
            ack: true,
            relay_factor: 0,
            timeout: Duration::ZERO,
        };
        self.tell(Input::Query(asked, params));
        asked
    }

    /// Changes keys everywhere.
    pub(crate) fn keys(&self, op: KeyOp) -> Asked {
        let asked = self.next();
        self.tell(Input::Keys(asked, op, 0));
        asked
    }

    /// What it holds of `name`.
    pub(crate) async fn status(&self, name: &str) -> Outcome<Option<MemberStatus>> {
        let name = name.to_owned();
        self.look(move |gossip| gossip.member(&name).map(|member| member.status)).await
    }

    /// Whether it holds `name` for this.
    pub(crate) async fn holds(&self, name: &str, status: MemberStatus) -> Outcome {
        let held = self.status(name).await?;
        ensure(held == Some(status), || format!("{name} should be {status}, we hold {held:?}"))
    }

    /// How many members it knows.
    pub(crate) async fn size(&self) -> Outcome<usize> {
        self.look(|gossip| gossip.members().count()).await
    }
}
