//! What this agent offers.
