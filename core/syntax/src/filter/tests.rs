//! Cases against what Consul answers.
