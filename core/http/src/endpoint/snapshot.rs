//! `/v1/snapshot`: the request; the archive is made and opened by those who hold the state.

use crate::decide::{Call, Desk, Modes, standing};
use crate::{Consistency, HostOp, Method, Plan, Response};
use bytes::Bytes;

pub(super) fn decide(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    if call.request.method == Method::Put {
        if !call.leads() {
            return Ok(Plan::Leader);
        }
        return Ok(Plan::SnapshotRestore(call.request.body.clone()));
    }
    let modes = Modes::parse(call)?;
    let elsewhere = match modes.consistency {
        // What the leader saves is what it has committed: a quorum is not asked.
        Consistency::Default if call.leads() => None,
        Consistency::Default => Some(if desk.is_worker() { Plan::Enter } else { Plan::Leader }),
        Consistency::Stale | Consistency::Consistent => standing(call, desk, modes).1,
    };
    Ok(elsewhere.unwrap_or_else(|| {
        if !desk.is_worker() {
            return Plan::SnapshotSave;
        }
        // Whoever holds the view needs nobody to read it.
        let index = call.view.catalog.index();
        let head = crate::render::snapshot(call.view, call.now, index, Bytes::new());
        Plan::Host(HostOp::Snapshot { head })
    }))
}
