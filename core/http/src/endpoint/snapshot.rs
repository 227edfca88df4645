//! `/v1/snapshot`: the request; the archive is made and opened by those who hold the state.

use crate::decide::{Call, Desk, Modes, standing};
use crate::{Consistency, Method, Plan, Response};

pub(super) fn decide(call: &Call<'_>, desk: &Desk<'_>) -> Result<Plan, Response> {
    call.own_datacenter()?;
    if call.request.method == Method::Put {
        if !call.leads() {
            return Ok(Plan::Leader);
        }
        return Ok(Plan::SnapshotRestore(call.request.body.clone()));
    }
    let modes = Modes::parse(call)?;
    if desk.is_worker() {
        return Ok(Plan::Enter);
    }
    if modes.consistency == Consistency::Default {
        // What the leader saves is what it has committed: a quorum is not asked.
        return Ok(if call.leads() { Plan::SnapshotSave } else { Plan::Leader });
    }
    let (_, elsewhere) = standing(call, desk, modes);
    Ok(elsewhere.unwrap_or(Plan::SnapshotSave))
}
