//! What is answered of services, judged as keys are: it must have been so at some moment, the index
//! must be of that moment, and it must not be older than what was known when the read began.

use super::Judge;
use super::answers::index_of;
use crate::client;
use crate::model::{Instances, Interval, SERVICES_MAX, name_of};
use crate::world::Run;
use proconsul_core::http::Response;
use proconsul_core::types::CheckStatus;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An instance with its node and checks as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    node: ShownNode,
    service: ShownService,
    checks: Vec<ShownCheck>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShownNode {
    node: String,
}

#[derive(Debug, Deserialize)]
struct ShownService {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShownCheck {
    node: String,
    status: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
}

impl Judge {
    /// The health of a service was answered.
    pub(super) fn health(
        &mut self,
        service: usize,
        run: &mut Run,
        answer: &Response,
        served: (usize, u32),
    ) {
        let Some(index) = index_of(answer) else {
            self.broken("http.body", || format!("{:?} was answered without an index", run.want));
            return;
        };
        self.forward_only(run, index, served);
        run.index = index;
        if service >= SERVICES_MAX {
            return;
        }
        let seen = match instances_of(service, &answer.body) {
            Ok(seen) => seen,
            Err(text) => {
                self.broken("http.body", || text);
                return;
            }
        };
        let stretches = self.model.services[service].stretches(|it| *it == seen);
        let text = || format!("{} was shown with index {index} as {seen:?}", name_of(service));
        let known = self.fit(run, run.floor.services[service], &stretches, index, text);
        if let Some(begin) = known {
            self.floor.services[service] = self.floor.services[service].max(begin);
        }
    }

    /// The names of services were answered.
    pub(super) fn services(&mut self, run: &mut Run, answer: &Response, served: (usize, u32)) {
        let Some(index) = index_of(answer) else { return };
        self.forward_only(run, index, served);
        run.index = index;
        let shown = serde_json::from_slice::<BTreeMap<String, Vec<String>>>(&answer.body);
        let shown = match shown {
            Ok(shown) => shown,
            Err(error) => {
                self.broken("http.body", || format!("{error}: {:?}", answer.body));
                return;
            }
        };
        let listed = |service: usize| shown.contains_key(&name_of(service));
        let mut moments: Vec<Interval> = vec![(0, u64::MAX)];
        for (number, service) in self.model.services.iter().enumerate() {
            let stretches = service.stretches(|it| it.is_empty() != listed(number));
            moments = shared(&moments, &stretches);
        }
        let floor = run.floor.services.iter().copied().max().unwrap_or(0);
        let text = || format!("services were listed with index {index} as {shown:?}");
        // A service that is listed may have changed since: nothing more is known of any of them.
        self.fit(run, floor, &moments, index, text);
    }

    /// Judges an answer that shows what was at these stretches of indexes. Returns the earliest
    /// index from which on it is known, if the read promised to be fresh.
    fn fit(
        &mut self,
        run: &Run,
        floor: u64,
        stretches: &[Interval],
        index: u64,
        text: impl Fn() -> String,
    ) -> Option<u64> {
        if stretches.is_empty() {
            self.broken("read.phantom", || format!("{}, which it never was", text()));
            return None;
        }
        let linear = self.is_linear(run);
        let fresh: Vec<Interval> =
            stretches.iter().copied().filter(|(_, end)| !linear || *end > floor).collect();
        let Some((begin, _)) = fresh.first().copied() else {
            self.broken("read.stale", || {
                format!("{}: it was so at {stretches:?}, {floor} was known before", text())
            });
            return None;
        };
        // The first index of all is 1.
        let within = |(begin, end): &Interval| (*begin..*end).contains(&index);
        if !fresh.iter().any(within) {
            let newer = fresh.iter().all(|(_, end)| index >= *end);
            let word = if newer { "newer" } else { "older" };
            self.broken(&format!("read.index-{word}-than-body"), || {
                format!("{}: it was so at {fresh:?}", text())
            });
            return None;
        }
        linear.then_some(begin)
    }

    /// A registration was acknowledged: it must be in the log, after everything known when it
    /// began.
    pub(super) fn registered(&mut self, run: &Run, node: u8, service: u8, passing: bool) {
        let Some(known) = self.model.services.get(usize::from(service)) else { return };
        let name = client::node_name(node);
        let status = if passing { CheckStatus::Passing } else { CheckStatus::Critical };
        let index = known.registered_after(run.floor.horizon, &name, Some(status));
        self.acknowledged(run, usize::from(service), index);
    }

    /// A deregistration was acknowledged.
    pub(super) fn deregistered(&mut self, run: &Run, node: u8, service: usize) {
        let Some(known) = self.model.services.get(service) else { return };
        let index = known.deregistered_after(run.floor.horizon, &client::node_name(node));
        self.acknowledged(run, service, index);
    }

    fn acknowledged(&mut self, run: &Run, service: usize, index: Option<u64>) {
        if let Some(index) = index {
            self.floor.services[service] = self.floor.services[service].max(index);
        } else {
            self.broken("write.acked-not-committed", || {
                format!("{:?} was acknowledged, but nobody committed it", run.want)
            });
        }
    }
}

/// The instances in a body, if it shows those of this service and nothing else.
fn instances_of(service: usize, body: &[u8]) -> Result<Instances, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{why}: {}", String::from_utf8_lossy(body));
    let shown: Vec<Shown> = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
    let mut instances = Instances::new();
    for Shown { node, service: instance, checks } in shown {
        let fits = |check: &ShownCheck| check.node == node.node && check.service_id == instance.id;
        if instance.id != name_of(service) || checks.len() > 1 || !checks.iter().all(fits) {
            return Err(wrong(&"an instance or check of something else"));
        }
        let status = match checks.first() {
            Some(check) => {
                Some(CheckStatus::parse(&check.status).ok_or_else(|| wrong(&"no status"))?)
            }
            None => None,
        };
        if instances.insert(node.node, status).is_some() {
            return Err(wrong(&"an instance twice"));
        }
    }
    Ok(instances)
}

/// Where both are.
fn shared(one: &[Interval], other: &[Interval]) -> Vec<Interval> {
    let both = |(begin, end): &Interval, (from, to): &Interval| {
        let (begin, end) = ((*begin).max(*from), (*end).min(*to));
        (begin < end).then_some((begin, end))
    };
    one.iter().flat_map(|a| other.iter().filter_map(move |b| both(a, b))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_and_held_against_its_service() {
        let body = br#"[{"Node":{"Node":"n1"},"Service":{"ID":"svc0"},
            "Checks":[{"Node":"n1","Status":"critical","ServiceID":"svc0"}]}]"#;
        let found = instances_of(0, body).unwrap();
        assert_eq!(found.get("n1"), Some(&Some(CheckStatus::Critical)));
        assert!(instances_of(1, body).unwrap_err().contains("something else"));
        assert!(instances_of(0, b"{}").is_err());
        assert!(instances_of(0, b"[]").unwrap().is_empty());
    }

    #[test]
    fn moments_of_two_services() {
        let (one, other) = ([(0, 5), (9, u64::MAX)], [(3, 12)]);
        assert_eq!(shared(&one, &other), [(3, 5), (9, 12)]);
    }
}
