//! Stories that are not told on madsim, and why. All others are.

/// By name, with the reason.
pub(crate) const EXCUSED: &[(&str, &str)] = &[
    (
        "duplicated_messages",
        "the adapter speaks over streams, which madsim neither doubles nor lets overtake, and madsim \
         has one latency for all links",
    ),
    ("snapshot_slow_link", "madsim's links have no width: everything fits through them"),
];
