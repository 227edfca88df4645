//! One node: the parts wired together.
