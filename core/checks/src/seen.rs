//! Until the catalog can be read: nothing is in it. Shadowed by its own functions once they exist.
use proconsul_catalog::Catalog;
use proconsul_types::{Check, Node, Service};
pub(crate) trait Seen {
    fn node(&self, _: &str) -> Option<&Node> {
        None
    }
    fn node_services(&self, _: &str) -> impl Iterator<Item = &Service> {
        [].iter()
    }
    fn node_checks(&self, _: &str) -> impl Iterator<Item = &Check> {
        [].iter()
    }
}
impl Seen for Catalog {}
