//! How many connections one address may bring.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by client address (`limits.http_max_conns_per_client`,
/// `limits.rpc_max_conns_per_client`).
#[derive(Debug, Default)]
pub(crate) struct ClientLimit {
    max: AtomicUsize,
    open: Mutex<BTreeMap<IpAddr, usize>>,
}

impl ClientLimit {
    /// With this many connections for one address; 0 is without bound.
    #[must_use]
    pub(crate) fn new(max: usize) -> Self {
        Self { max: AtomicUsize::new(max), open: Mutex::default() }
    }

    /// Changes the bound for connections to come.
    pub(crate) fn set(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Counts a connection until the slot is dropped; `None` if there is no room for it.
    pub(crate) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Slot> {
        let max = self.max.load(Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&client).copied().unwrap_or(0);
        if max > 0 && count >= max {
            return None;
        }
        open.insert(client, count + 1);
        Some(Slot { limit: Arc::clone(self), client })
    }
}

/// One counted connection.
#[derive(Debug)]
pub(crate) struct Slot {
    limit: Arc<ClientLimit>,
    client: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.limit.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_count() {
        let limit = Arc::new(ClientLimit::new(2));
        let [one, other] = [1, 2].map(|host| IpAddr::from([127, 0, 0, host]));
        let held = [limit.enter(one), limit.enter(one)];
        assert!(held.iter().all(Option::is_some) && limit.enter(one).is_none());
        assert!(limit.enter(other).is_some());
        limit.set(3);
        assert!(limit.enter(one).is_some());
        drop(held);
        assert!(limit.open.lock().unwrap().is_empty(), "nothing is kept of who went");
        limit.set(0);
        let many: Vec<_> = (0..100).map(|_| limit.enter(one)).collect();
        assert!(many.iter().all(Option::is_some));
    }
}
