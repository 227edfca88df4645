//! Lists that many hold in common, but for a few entries.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// A list of which the greater part is counted by reference. A clone copies only what changed, and
/// who holds the same part can leave it out of a comparison ([`Self::shares`]).
#[derive(Clone)]
pub struct SharedList<T> {
    common: Arc<Vec<T>>,
    /// What is held in place of the common entries, and behind them; by place.
    changed: Vec<(usize, T)>,
    len: usize,
}

impl<T> SharedList<T> {
    /// The common entries with these in their place, or behind them without a gap; by place.
    ///
    /// # Panics
    /// If the places do not grow or leave a gap: a bug of the caller.
    pub fn new(common: Arc<Vec<T>>, changed: Vec<(usize, T)>) -> Self {
        let mut len = common.len();
        for (number, (place, _)) in changed.iter().enumerate() {
            let grows = number == 0 || changed[number - 1].0 < *place;
            assert!(grows && *place <= len, "changes are by place, without gaps");
            len = len.max(*place + 1);
        }
        Self { common, changed, len }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        match self.changed.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(found) => Some(&self.changed[found].1),
            Err(_) => self.common.get(place),
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let mut changed = self.changed.iter().peekable();
        (0..self.len).filter_map(move |place| {
            match changed.next_if(|(changed, _)| *changed == place) {
                Some((_, entry)) => Some(entry),
                None => self.common.get(place),
            }
        })
    }

    /// Whether the common part is this very one.
    #[must_use]
    pub fn shares(&self, common: &Arc<Vec<T>>) -> bool {
        Arc::ptr_eq(&self.common, common)
    }

    /// What is held beside the common part, by place.
    #[must_use]
    pub fn changed(&self) -> &[(usize, T)] {
        &self.changed
    }
}

impl<T> Default for SharedList<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for SharedList<T> {
    fn from(entries: Vec<T>) -> Self {
        let len = entries.len();
        Self { common: Arc::new(entries), changed: Vec::new(), len }
    }
}

impl<T> FromIterator<T> for SharedList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self::from(entries.into_iter().collect::<Vec<T>>())
    }
}

/// Two lists are equal when their entries are, whatever they hold in common.
impl<T: PartialEq> PartialEq for SharedList<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Eq> Eq for SharedList<T> {}

impl<T: fmt::Debug> fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn changes_stand_in_place_of_what_is_common() {
        let common = Arc::new(vec!['a', 'b', 'c']);
        let list = SharedList::new(Arc::clone(&common), vec![(1, 'x'), (3, 'd'), (4, 'e')]);
        assert_eq!(list, SharedList::from(vec!['a', 'x', 'c', 'd', 'e']));
        assert_eq!(
            [1, 2, 4].map(|place| list.get(place).copied()),
            [Some('x'), Some('c'), Some('e')]
        );
        assert_eq!((list.len(), list.get(5)), (5, None));
        assert!(list.shares(&common) && !SharedList::from(vec!['a', 'b', 'c']).shares(&common));
        assert_ne!(list, SharedList::new(common, Vec::new()));
    }

    #[test]
    fn an_empty_list_is_nothing() {
        let none = SharedList::<u8>::default();
        assert!(none.is_empty() && none.iter().next().is_none() && none.get(0).is_none());
    }
}
