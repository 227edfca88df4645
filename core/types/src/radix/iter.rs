//! Ways through the tree, none of which recurses.

use super::Keyed;
use super::node::{Child, Node, shared_len};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Records in the order of their keys.
#[derive(Debug)]
pub struct Iter<'a, T> {
    one: Option<&'a Arc<T>>,
    /// Nodes being visited; 0 stands for the own record, n for child n - 1.
    stack: Vec<(&'a Node<T>, usize)>,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self { one: self.one, stack: self.stack.clone() }
    }
}

impl<'a, T: Keyed> Iter<'a, T> {
    pub(super) fn empty() -> Self {
        Self { one: None, stack: Vec::new() }
    }

    pub(super) fn one(record: &'a Arc<T>) -> Self {
        Self { one: Some(record), stack: Vec::new() }
    }

    pub(super) fn whole(node: &'a Node<T>) -> Self {
        Self { one: None, stack: alloc::vec![(node, 0)] }
    }

    pub(super) fn after(root: &'a Node<T>, bound: &[u8]) -> Self {
        let mut stack = Vec::new();
        let mut node = root;
        let mut at = 0;
        loop {
            let Some(label) = bound.get(at) else {
                stack.push((node, 1));
                break;
            };
            let place = match node.find(*label) {
                Ok(place) => place,
                Err(place) => {
                    stack.push((node, place + 1));
                    break;
                }
            };
            match &node.children[place] {
                Child::Leaf(_, leaf) => {
                    let greater = leaf.key() > bound;
                    stack.push((node, place + if greater { 1 } else { 2 }));
                    break;
                }
                Child::Node(_, inner) => {
                    let rest = &bound[at..];
                    let shared = shared_len(&inner.prefix, rest);
                    if shared < inner.prefix.len() {
                        let greater = *inner.prefix > *rest;
                        stack.push((node, place + if greater { 1 } else { 2 }));
                        break;
                    }
                    stack.push((node, place + 2));
                    at += shared;
                    node = inner;
                }
            }
        }
        Self { one: None, stack }
    }
}

impl<'a, T: Keyed> Iterator for Iter<'a, T> {
    type Item = &'a Arc<T>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.one.take() {
            return Some(record);
        }
        loop {
            let (node, next) = self.stack.last_mut()?;
            let node = *node;
            let place = *next;
            *next += 1;
            if place == 0 {
                if let Some(leaf) = &node.leaf {
                    return Some(leaf);
                }
                continue;
            }
            match node.children.get(place - 1) {
                None => {
                    self.stack.pop();
                }
                Some(Child::Leaf(_, leaf)) => return Some(leaf),
                Some(Child::Node(_, inner)) => self.stack.push((inner, 0)),
            }
        }
    }
}

/// A step of a [`Walk`].
#[derive(Debug)]
pub enum WalkStep<T> {
    /// The next record.
    Record(Arc<T>),
    /// A place whose index is above everything below it: its path and index.
    Scar(Vec<u8>, u64),
}

/// A walk that owns what it walks over.
#[derive(Debug)]
pub struct Walk<T> {
    stack: Vec<(Arc<Node<T>>, usize)>,
    path: Vec<u8>,
}

impl<T> Clone for Walk<T> {
    fn clone(&self) -> Self {
        Self { stack: self.stack.clone(), path: self.path.clone() }
    }
}

impl<T: Keyed> Walk<T> {
    pub(super) fn new(root: Arc<Node<T>>) -> Self {
        Self { stack: alloc::vec![(root, 0)], path: Vec::new() }
    }
}

impl<T: Keyed> Iterator for Walk<T> {
    type Item = WalkStep<T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (node, next) = self.stack.last_mut()?;
            let place = *next;
            *next += 1;
            if place == 0 {
                if let Some(leaf) = &node.leaf {
                    return Some(WalkStep::Record(Arc::clone(leaf)));
                }
                continue;
            }
            match node.children.get(place - 1) {
                Some(Child::Leaf(_, leaf)) => return Some(WalkStep::Record(Arc::clone(leaf))),
                Some(Child::Node(_, inner)) => {
                    let inner = Arc::clone(inner);
                    self.path.extend_from_slice(&inner.prefix);
                    self.stack.push((inner, 0));
                }
                None => {
                    let scar = node.is_scarred().then(|| (self.path.clone(), node.top));
                    let above = self.path.len() - node.prefix.len();
                    self.path.truncate(above);
                    self.stack.pop();
                    if let Some((path, top)) = scar {
                        return Some(WalkStep::Scar(path, top));
                    }
                }
            }
        }
    }
}
