//! Who is here (room for the gossip pools).
