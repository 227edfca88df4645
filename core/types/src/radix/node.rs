//! One node of the tree, and what happens at an edge.

use super::Keyed;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A place where keys part.
#[derive(Debug)]
pub(super) struct Node<T> {
    /// The bytes between the parent's path and this node's.
    pub(super) prefix: Box<[u8]>,
    /// The highest index of any change at or below, deletions included.
    pub(super) top: u64,
    /// The record filed under exactly this path.
    pub(super) leaf: Option<Arc<T>>,
    /// What lies below, sorted by label.
    pub(super) children: Vec<Child<T>>,
}

/// An edge with what it leads to. The byte is the first one after the parent's path.
#[derive(Debug)]
pub(super) enum Child<T> {
    Leaf(u8, Arc<T>),
    Node(u8, Arc<Node<T>>),
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        Self {
            prefix: self.prefix.clone(),
            top: self.top,
            leaf: self.leaf.clone(),
            children: self.children.clone(),
        }
    }
}

impl<T> Clone for Child<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(label, leaf) => Self::Leaf(*label, Arc::clone(leaf)),
            Self::Node(label, node) => Self::Node(*label, Arc::clone(node)),
        }
    }
}

impl<T> Drop for Node<T> {
    /// Lets go of the subtree without recursion, so depth never meets the stack's end.
    fn drop(&mut self) {
        if !self.children.iter().any(|child| matches!(child, Child::Node(..))) {
            return;
        }
        let mut stack = core::mem::take(&mut self.children);
        while let Some(child) = stack.pop() {
            if let Child::Node(_, node) = child
                && let Some(mut node) = Arc::into_inner(node)
            {
                stack.append(&mut node.children);
            }
        }
    }
}

/// How many bytes two texts have in common at their start.
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Beyond this many children a binary search beats looking at one after the other.
const LINEAR_MAX: usize = 16;

impl<T> Node<T> {
    pub(super) fn new(prefix: &[u8], top: u64) -> Self {
        Self { prefix: Box::from(prefix), top, leaf: None, children: Vec::new() }
    }

    /// Where the child with `label` is, or where it would go.
    pub(super) fn find(&self, label: u8) -> Result<usize, usize> {
        if self.children.len() > LINEAR_MAX {
            return self.children.binary_search_by_key(&label, Child::label);
        }
        for (place, child) in self.children.iter().enumerate() {
            let here = child.label();
            if here >= label {
                return if here == label { Ok(place) } else { Err(place) };
            }
        }
        Err(self.children.len())
    }

    pub(super) fn child(&self, label: u8) -> Option<&Child<T>> {
        self.find(label).ok().map(|place| &self.children[place])
    }

    /// Adds a child, growing by a quarter: nodes are many and mostly full for good.
    pub(super) fn add(&mut self, place: usize, child: Child<T>) {
        let len = self.children.len();
        if len == self.children.capacity() {
            self.children.reserve_exact((len / 4).max(1));
        }
        self.children.insert(place, child);
    }

    /// Drops the entry towards `label`, or the own record.
    pub(super) fn take(&mut self, label: Option<u8>) {
        match label {
            None => self.leaf = None,
            Some(label) => {
                let place = self.find(label).expect("the entry to take exists");
                self.children.remove(place);
            }
        }
    }

    pub(super) fn entries(&self) -> usize {
        self.children.len() + usize::from(self.leaf.is_some())
    }

    /// Whether everything below lies in the direction of `next` (the own record for `None`).
    fn leads_only_to(&self, next: Option<u8>) -> bool {
        match next {
            None => self.children.is_empty(),
            Some(label) => {
                self.leaf.is_none() && self.children.len() == 1 && self.children[0].label() == label
            }
        }
    }
}

impl<T: Keyed> Node<T> {
    /// The highest index among the entries.
    pub(super) fn derived_top(&self) -> u64 {
        let own = self.leaf.as_ref().map_or(0, |leaf| leaf.index());
        self.children.iter().map(Child::top).fold(own, u64::max)
    }

    /// Whether it remembers a deletion that no entry shows.
    pub(super) fn is_scarred(&self) -> bool {
        self.top > self.derived_top()
    }
}

impl<T> Child<T> {
    pub(super) fn label(&self) -> u8 {
        match self {
            Self::Leaf(label, _) | Self::Node(label, _) => *label,
        }
    }
}

impl<T: Keyed> Child<T> {
    pub(super) fn top(&self) -> u64 {
        match self {
            Self::Leaf(_, leaf) => leaf.index(),
            Self::Node(_, node) => node.top,
        }
    }

    /// The node this leads to, to be changed.
    pub(super) fn enter(&mut self) -> &mut Node<T> {
        match self {
            Self::Leaf(..) => unreachable!("the way leads to a node"),
            Self::Node(_, node) => Arc::make_mut(node),
        }
    }

    /// How much of `rest` (a key after its first `at` bytes) this edge shares.
    pub(super) fn shared_with(&self, rest: &[u8], at: usize) -> usize {
        match self {
            Self::Leaf(_, leaf) => shared_len(&leaf.key()[at..], rest),
            Self::Node(_, inner) => shared_len(&inner.prefix, rest),
        }
    }

    /// Whether this is a node whose path is `end` bytes long, the edge starting at `at`.
    pub(super) fn ends_at(&self, end: usize, at: usize) -> bool {
        match self {
            Self::Leaf(..) => false,
            Self::Node(_, inner) => at + inner.prefix.len() == end,
        }
    }

    /// Puts a node into the edge, `shared` bytes along, and `value` beside what was there.
    pub(super) fn split(&mut self, value: Arc<T>, at: usize, shared: usize) {
        self.break_edge(at, shared);
        let Self::Node(_, node) = self else {
            unreachable!("a broken edge leads to a node");
        };
        let node = Arc::make_mut(node);
        node.top = node.top.max(value.index());
        match value.key().get(at + shared).copied() {
            None => node.leaf = Some(value),
            Some(label) => {
                let place = match node.find(label) {
                    Ok(place) | Err(place) => place,
                };
                node.add(place, Self::Leaf(label, value));
            }
        }
    }

    /// Puts a node with one entry into the edge, `shared` bytes along.
    pub(super) fn break_edge(&mut self, at: usize, shared: usize) {
        match self {
            Self::Leaf(label, leaf) => {
                let key = leaf.key();
                let mut node = Node::new(&key[at..at + shared], leaf.index());
                match key.get(at + shared).copied() {
                    None => node.leaf = Some(Arc::clone(leaf)),
                    Some(below) => node.add(0, Self::Leaf(below, Arc::clone(leaf))),
                }
                *self = Self::Node(*label, Arc::new(node));
            }
            Self::Node(_, slot) => {
                let upper = Arc::new(Node::new(&slot.prefix[..shared], slot.top));
                let mut lower = core::mem::replace(slot, upper);
                let below = lower.prefix[shared];
                let inner = Arc::make_mut(&mut lower);
                inner.prefix = Box::from(&inner.prefix[shared..]);
                Arc::make_mut(slot).add(0, Self::Node(below, lower));
            }
        }
    }

    /// Removes the nodes with one entry on the way along `rest`, which a change with `index` is
    /// about to take: below them everything will have that index too, so they remember nothing.
    pub(super) fn heal(&mut self, rest: &[u8], index: u64) {
        while let Self::Node(_, inner) = self {
            if inner.entries() > 1
                || inner.top > index
                || !rest.starts_with(&inner.prefix)
                || !inner.leads_only_to(rest.get(inner.prefix.len()).copied())
            {
                return;
            }
            self.collapse();
        }
    }

    /// Removes this node if it has one entry and remembers nothing.
    pub(super) fn settle(&mut self) {
        if let Self::Node(_, inner) = self
            && inner.entries() == 1
            && !inner.is_scarred()
        {
            self.collapse();
        }
    }

    /// Puts the only entry of this node in its place.
    fn collapse(&mut self) {
        let Self::Node(label, inner) = self else {
            return;
        };
        let label = *label;
        let only = match &inner.leaf {
            Some(leaf) => Self::Leaf(label, Arc::clone(leaf)),
            None => match &inner.children[0] {
                Self::Leaf(_, leaf) => Self::Leaf(label, Arc::clone(leaf)),
                Self::Node(_, lower) => {
                    let mut lower = Arc::clone(lower);
                    let mut prefix = Vec::with_capacity(inner.prefix.len() + lower.prefix.len());
                    prefix.extend_from_slice(&inner.prefix);
                    prefix.extend_from_slice(&lower.prefix);
                    Arc::make_mut(&mut lower).prefix = prefix.into_boxed_slice();
                    Self::Node(label, lower)
                }
            },
        };
        *self = only;
    }
}
