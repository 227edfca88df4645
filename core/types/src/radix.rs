//! A persistent radix tree: one structure for every table.
//!
//! Nodes are reference-counted and changed in place while nobody else holds them, so a snapshot is
//! one count and costs nothing until something changes. Paths are compressed, and a record hangs
//! directly in its parent. Each node knows the highest index of its subtree, deletions included:
//! that is the index of a prefix, without tombstones, and it never goes backwards.
//!
//! Form: a node below the root has at least two entries, or it is a *scar*: one entry, and a top
//! above that entry's, which remembers a deletion. Scars heal when a later write below them makes
//! the two tops equal. So the shape follows from the records and the scars alone, and a restored
//! tree equals the one it was taken from.

mod iter;
mod node;
#[cfg(test)]
mod tests;

pub use iter::{Iter, Walk, WalkStep};
use node::{Child, Node, shared_len};

use alloc::sync::Arc;
use alloc::vec::Vec;

/// What can be kept in a [`Tree`].
pub trait Keyed {
    /// The bytes it is filed under. They never change.
    fn key(&self) -> &[u8];
    /// Its modify index; constant 0 in trees that need no prefix indexes.
    fn index(&self) -> u64 {
        0
    }
}

/// A sorted map from bytes to records. Cloning is one reference count.
#[derive(Debug)]
pub struct Tree<T> {
    root: Arc<Node<T>>,
    len: usize,
}

impl<T> Clone for Tree<T> {
    fn clone(&self) -> Self {
        Self { root: Arc::clone(&self.root), len: self.len }
    }
}

impl<T: Keyed> Default for Tree<T> {
    fn default() -> Self {
        Self { root: Arc::new(Node::new(&[], 0)), len: 0 }
    }
}

/// What lies at or below a prefix.
enum Below<'a, T> {
    Nothing,
    Record(&'a Arc<T>),
    Subtree(&'a Node<T>),
}

impl<T: Keyed> Tree<T> {
    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The highest index of any change ever made.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.root.top
    }

    /// The record under `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Arc<T>> {
        let mut node = &*self.root;
        let mut at = 0;
        loop {
            let Some(label) = key.get(at) else {
                return node.leaf.as_ref();
            };
            match node.child(*label)? {
                Child::Leaf(_, leaf) => return (leaf.key() == key).then_some(leaf),
                Child::Node(_, inner) => {
                    if !key[at..].starts_with(&inner.prefix) {
                        return None;
                    }
                    at += inner.prefix.len();
                    node = inner;
                }
            }
        }
    }

    /// Files `value` under its key, raising every index above it to its own. Gives back what was
    /// there.
    pub fn insert(&mut self, value: Arc<T>) -> Option<Arc<T>> {
        let index = value.index();
        let mut node = Arc::make_mut(&mut self.root);
        let mut at = 0;
        loop {
            node.top = node.top.max(index);
            let Some(label) = value.key().get(at).copied() else {
                let old = node.leaf.replace(value);
                self.len += usize::from(old.is_none());
                return old;
            };
            let place = match node.find(label) {
                Ok(place) => place,
                Err(place) => {
                    node.add(place, Child::Leaf(label, value));
                    self.len += 1;
                    return None;
                }
            };
            let child = &mut node.children[place];
            child.heal(&value.key()[at..], index);
            let shared = child.shared_with(&value.key()[at..], at);
            let descend = match child {
                Child::Leaf(_, leaf) if leaf.key() == value.key() => {
                    return Some(core::mem::replace(leaf, value));
                }
                Child::Leaf(..) => false,
                Child::Node(_, inner) => shared == inner.prefix.len(),
            };
            if !descend {
                child.split(value, at, shared);
                self.len += 1;
                return None;
            }
            at += shared;
            node = node.children[place].enter();
        }
    }

    /// Removes the record under `key`, raising every index above it to `index`.
    pub fn remove(&mut self, key: &[u8], index: u64) -> Option<Arc<T>> {
        let found = Arc::clone(self.get(key)?);
        let keep = self.lasting(key, true);
        self.cut(key, keep, index);
        self.len -= 1;
        Some(found)
    }

    /// Removes every record whose key starts with `prefix`, raising every index above to `index`.
    /// Gives the number removed.
    pub fn remove_prefix(&mut self, prefix: &[u8], index: u64) -> usize {
        let gone = self.prefix(prefix).count();
        if gone == 0 {
            return 0;
        }
        if prefix.is_empty() {
            let top = self.root.top.max(index);
            self.root = Arc::new(Node::new(&[], top));
        } else {
            let keep = self.lasting(prefix, false);
            self.cut(prefix, keep, index);
        }
        self.len -= gone;
        gone
    }

    /// The path length of the deepest node on the way to `key` that survives its removal: the
    /// root, or one that has other entries.
    fn lasting(&self, key: &[u8], exact: bool) -> usize {
        let mut node = &*self.root;
        let mut at = 0;
        let mut keep = 0;
        loop {
            if node.entries() >= 2 {
                keep = at;
            }
            let Some(Child::Node(_, inner)) = key.get(at).and_then(|label| node.child(*label))
            else {
                return keep;
            };
            at += inner.prefix.len();
            if at > key.len() || (at == key.len() && !exact) {
                return keep;
            }
            node = inner;
        }
    }

    /// Takes the entry that leads to `key` out of the node whose path is `key[..keep]`.
    fn cut(&mut self, key: &[u8], keep: usize, index: u64) {
        let mut node = Arc::make_mut(&mut self.root);
        node.top = node.top.max(index);
        if keep == 0 {
            node.take(key.first().copied());
            return;
        }
        let mut at = 0;
        loop {
            let place = node.find(key[at]).expect("the path to a record that exists");
            let child = &mut node.children[place];
            child.heal(&key[at..], index);
            let below = child.enter();
            at += below.prefix.len();
            below.top = below.top.max(index);
            if at == keep {
                below.take(key.get(at).copied());
                child.settle();
                return;
            }
            node = node.children[place].enter();
        }
    }

    /// Makes the index of `path`, under which at least one record lies, at least `top`: how a
    /// restored tree gets its scars back.
    pub fn raise(&mut self, path: &[u8], top: u64) {
        if self.prefix_index(path) >= top {
            return;
        }
        let mut node = Arc::make_mut(&mut self.root);
        let mut at = 0;
        loop {
            node.top = node.top.max(top);
            let Some(label) = path.get(at) else {
                return;
            };
            let Ok(place) = node.find(*label) else {
                return;
            };
            let child = &mut node.children[place];
            let rest = &path[at..];
            let shared = child.shared_with(rest, at);
            if shared == rest.len() && !child.ends_at(path.len(), at) {
                child.break_edge(at, shared);
            }
            let Child::Node(_, inner) = child else {
                return;
            };
            if shared < inner.prefix.len() {
                return;
            }
            at += shared;
            node = Arc::make_mut(inner);
        }
    }

    fn below(&self, prefix: &[u8]) -> (Below<'_, T>, u64) {
        let mut node = &*self.root;
        let mut at = 0;
        loop {
            let Some(label) = prefix.get(at) else {
                return (Below::Subtree(node), node.top);
            };
            match node.child(*label) {
                None => return (Below::Nothing, node.top),
                Some(Child::Leaf(_, leaf)) => {
                    if leaf.key().starts_with(prefix) {
                        return (Below::Record(leaf), leaf.index());
                    }
                    return (Below::Nothing, node.top);
                }
                Some(Child::Node(_, inner)) => {
                    let rest = &prefix[at..];
                    let shared = shared_len(&inner.prefix, rest);
                    if shared == rest.len() {
                        return (Below::Subtree(inner), inner.top);
                    }
                    if shared < inner.prefix.len() {
                        return (Below::Nothing, node.top);
                    }
                    at += shared;
                    node = inner;
                }
            }
        }
    }

    /// The highest index of any change at or below `prefix`. Where nothing lies, that of the
    /// nearest place above: coarser, never lower.
    #[must_use]
    pub fn prefix_index(&self, prefix: &[u8]) -> u64 {
        self.below(prefix).1
    }

    /// The index of the record under `key`, or of the nearest place above if there is none.
    #[must_use]
    pub fn key_index(&self, key: &[u8]) -> u64 {
        let mut node = &*self.root;
        let mut at = 0;
        loop {
            let Some(label) = key.get(at) else {
                return node.leaf.as_ref().map_or(node.top, |leaf| leaf.index());
            };
            match node.child(*label) {
                Some(Child::Leaf(_, leaf)) if leaf.key() == key => return leaf.index(),
                Some(Child::Node(_, inner)) if key[at..].starts_with(&inner.prefix) => {
                    at += inner.prefix.len();
                    node = inner;
                }
                None | Some(Child::Leaf(..) | Child::Node(..)) => return node.top,
            }
        }
    }

    /// All records in the order of their keys.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter::whole(&self.root)
    }

    /// The records whose keys start with `prefix`, in order.
    #[must_use]
    pub fn prefix(&self, prefix: &[u8]) -> Iter<'_, T> {
        match self.below(prefix).0 {
            Below::Nothing => Iter::empty(),
            Below::Record(record) => Iter::one(record),
            Below::Subtree(node) => Iter::whole(node),
        }
    }

    /// The records whose keys are greater than `bound`, in order.
    #[must_use]
    pub fn after(&self, bound: &[u8]) -> Iter<'_, T> {
        Iter::after(&self.root, bound)
    }

    /// A walk that holds the tree as it is: records in order, each scar after what lies below it.
    #[must_use]
    pub fn walk(&self) -> Walk<T> {
        Walk::new(Arc::clone(&self.root))
    }

    /// Panics unless the tree has its form.
    pub fn check_invariants(&self) {
        assert!(self.root.prefix.is_empty(), "the root's path is empty");
        let mut count = 0;
        let mut stack: Vec<(&Node<T>, Vec<u8>, bool)> = Vec::new();
        stack.push((&self.root, Vec::new(), true));
        while let Some((node, path, is_root)) = stack.pop() {
            assert!(is_root || !node.prefix.is_empty(), "an edge has a label");
            assert!(
                is_root || node.entries() >= 2 || (node.entries() == 1 && node.is_scarred()),
                "a node below the root branches or remembers a deletion"
            );
            assert!(node.top >= node.derived_top(), "a node's top covers its entries");
            assert!(
                node.children.is_sorted_by(|a, b| a.label() < b.label()),
                "children are sorted by label, without repetition"
            );
            if let Some(leaf) = &node.leaf {
                assert!(leaf.key() == path, "a node's own record is filed under its path");
                count += 1;
            }
            for child in &node.children {
                match child {
                    Child::Leaf(label, leaf) => {
                        assert!(leaf.key().starts_with(&path), "a record lies on its path");
                        assert!(leaf.key().get(path.len()) == Some(label), "labels are keys'");
                        count += 1;
                    }
                    Child::Node(label, inner) => {
                        assert!(inner.prefix.first() == Some(label), "labels are prefixes'");
                        let mut below = path.clone();
                        below.extend_from_slice(&inner.prefix);
                        stack.push((inner, below, false));
                    }
                }
            }
        }
        assert!(count == self.len, "the count of records is kept");
    }
}
