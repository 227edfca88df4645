//! Steps that several stories share: clients whose acknowledged writes are remembered, looks at
//! terms, waits that are counted in election timeouts.

use proconsul_sim::{Broken, Duration, Freshness, Rng, Seed, Told, Want, World, millis};
use std::cell::RefCell;
use std::rc::Rc;

/// So many of the longest election timeouts of worlds with default options.
pub(crate) const fn timeouts(count: u64) -> Duration {
    millis(600 * count)
}

/// What a story draws for itself.
pub(crate) fn draws(world: &World, name: &str) -> Rng {
    Rng::new(Seed(world.seed())).split(name)
}

/// The newest term any running server has seen.
pub(crate) fn newest_term(world: &World) -> u64 {
    (0..world.servers())
        .map(|server| world.glimpse(server))
        .filter(|seen| seen.up)
        .map(|seen| seen.term)
        .max()
        .unwrap_or(0)
}

/// Waits until one of these servers leads.
pub(crate) async fn leader_among(
    world: &World,
    servers: &[usize],
    within: Duration,
) -> Result<usize, Broken> {
    let leads = |world: &World| servers.iter().copied().find(|it| world.glimpse(*it).leads);
    world.until(within, "a leader on this side", |world| leads(world).is_some()).await?;
    Ok(leads(world).unwrap_or(0))
}

/// Writes a key through one of these servers, again and again until one takes it.
pub(crate) async fn put_within(
    world: &World,
    servers: &[usize],
    key: &str,
    within: Duration,
) -> Told {
    let end = world.now() + within;
    for server in servers.iter().copied().cycle() {
        if world.kv_put(server, key, "yes").await {
            break;
        }
        world.sleep(millis(20)).await;
        if world.now() >= end {
            break;
        }
    }
    world.expect(world.now() < end, &format!("{key} is written within {within:?}"))
}

/// Drawn clients that only read and write, until `span` is over or the story ends: unlike those of
/// `workload` they move no leadership.
pub(crate) fn readers_and_writers(world: &World, span: Duration) {
    let mut rng = draws(world, "readers_and_writers");
    let told = world.clone();
    let end = world.now() + span;
    world.aside(async move {
        while told.now() < end {
            let key = u8::try_from(rng.below(6)).unwrap_or(0);
            let client = u8::try_from(rng.below(4)).unwrap_or(0);
            let what = match rng.below(6) {
                0 | 1 => Want::Put { key },
                2 => Want::Cas { key },
                3 => Want::Get { key, fresh: Freshness::Consistent },
                4 => Want::Get { key, fresh: Freshness::Stale },
                _ => Want::Get { key, fresh: Freshness::Default },
            };
            told.client(client, rng.index(told.servers()), millis(0), what);
            told.sleep(millis(rng.between(5, 120))).await;
        }
        Ok(())
    });
}

/// Waits until clients that were drawn at the beginning for `span` are done: the verdict is about a
/// world in which nobody does anything any more.
pub(crate) async fn outlast(world: &World, span: Duration) {
    let end = span + millis(3_000);
    if world.now() < end {
        world.sleep(end - world.now()).await;
    }
}

/// Writes one new key after another and remembers which of them were acknowledged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scribe {
    acked: Rc<RefCell<Vec<String>>>,
}

impl Scribe {
    /// Begins to write, through one server after another, until the story ends.
    pub(crate) fn begin(world: &World, pause: Duration) -> Self {
        let scribe = Self::default();
        for hand in 0..2 {
            let (told, acked) = (world.clone(), Rc::clone(&scribe.acked));
            world.aside(async move {
                for number in 0_usize.. {
                    let key = format!("scribe/{hand}/{number}");
                    if told.kv_put((number + hand) % told.servers(), &key, &key).await {
                        acked.borrow_mut().push(key);
                    }
                    told.sleep(pause).await;
                }
                Ok(())
            });
        }
        scribe
    }

    /// How many writes were acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.acked.borrow().len()
    }

    /// Everything acknowledged so far is there and reads as it was written.
    pub(crate) async fn nothing_lost(&self, world: &World) -> Told {
        let acked = self.acked.borrow().clone();
        for (number, key) in acked.iter().enumerate() {
            let server = number % world.servers();
            let read = world.kv_get(server, key, Freshness::Consistent).await;
            let text = format!("{key} was acknowledged and reads as {read:?} at s{server}");
            world.expect(read.as_ref() == Ok(&Some(key.clone())), &text)?;
        }
        Ok(())
    }
}
