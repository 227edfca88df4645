//! `/v1/coordinate`: where agents and datacenters are.

use super::catalog_write::check_datacenter;
use super::{Decoded, each_field, propose, undecodable};
use crate::decide::{Body, Call, CatalogRead, Desk, Modes, serve};
use crate::json::{Json, records};
use crate::{Plan, Reply, Response, error, near, respond};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use proconsul_catalog::{Catalog, Command, Place, Topic};
use proconsul_checks::parse::json;
use proconsul_types::{CatalogIndex, Coordinate};
use serde_json::Value;

pub(super) fn nodes(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    serve(call, desk, modes, &Places { node: None })
}

pub(super) fn node(call: &Call<'_>, desk: &mut Desk<'_>) -> Result<Plan, Response> {
    let modes = Modes::parse(call)?;
    serve(call, desk, modes, &Places { node: Some(&call.tail) })
}

struct Places<'a> {
    /// Those of this node alone.
    node: Option<&'a str>,
}

impl CatalogRead for Places<'_> {
    fn index(&self, catalog: &Catalog) -> CatalogIndex {
        catalog.places_index()
    }

    fn topics(&self) -> Vec<Topic> {
        vec![Topic::Coordinates]
    }

    fn body(&self, call: &Call<'_>) -> Result<Body, Response> {
        let catalog = &call.view.catalog;
        let segment = call.params.get("segment").filter(|segment| !segment.is_empty());
        let wanted = |place: &&Place| segment.is_none_or(|segment| *place.segment == *segment);
        let mut json = Json::new(call.is_pretty(), 512);
        json.begin_array();
        match self.node {
            None => {
                for place in catalog.places().filter(wanted) {
                    records::place(&mut json, &place.node, &place.segment, &place.coordinate);
                }
            }
            Some(node) => {
                let found: Vec<&Place> = catalog.node_places(node).filter(wanted).collect();
                if found.is_empty() {
                    return Ok(Body::Missing);
                }
                for place in found {
                    // The name is shown as it was asked for.
                    records::place(&mut json, node, &place.segment, &place.coordinate);
                }
            }
        }
        json.end_array();
        Ok(Body::Json(json.finish()))
    }
}

/// The servers of every datacenter, as this server's WAN pool knows them.
pub(super) fn datacenters(call: &Call<'_>) -> Plan {
    let mut json = Json::new(call.is_pretty(), 512);
    json.begin_array();
    if let Some(wan) = &call.view.pools.wan {
        let own = format!("{}.{}", call.view.agent.name, call.view.agent.datacenter);
        for (datacenter, servers) in near::servers(wan) {
            json.begin_object();
            json.field_string("Datacenter", datacenter);
            json.field_string("AreaID", "wan");
            json.key("Coordinates");
            json.begin_array();
            for (name, member) in servers {
                if let Some(place) = near::place_of(wan, member, &own) {
                    records::place(&mut json, name, "", place);
                }
            }
            json.end_array();
            json.end_object();
        }
    }
    json.end_array();
    Plan::Answer(respond::json(call.view, 200, json.finish()))
}

pub(super) fn update(call: &Call<'_>) -> Result<Plan, Response> {
    let asked = Asked::read(call).map_err(|reason| undecodable(call, &reason))?;
    check_datacenter(call, &asked.datacenter)?;
    let Ok(vector) = <[f64; 8]>::try_from(asked.vector) else {
        return Err(error::plain(call.view, 500, "incompatible coordinate"));
    };
    let Asked { node, segment, error, adjustment, height, .. } = asked;
    let coordinate = Coordinate { vector, error, adjustment, height };
    let place = Place { node, segment, coordinate };
    if !place.is_valid() {
        return Err(error::plain(call.view, 500, "invalid coordinate"));
    }
    Ok(propose(call, Command::Coordinates(vec![place]), Reply::Empty))
}

#[derive(Default)]
struct Asked {
    datacenter: Arc<str>,
    node: Arc<str>,
    segment: Arc<str>,
    vector: Vec<f64>,
    error: f64,
    adjustment: f64,
    height: f64,
}

impl Asked {
    fn read(call: &Call<'_>) -> Decoded<Self> {
        let mut asked = Self::default();
        let value = json::decode(&call.request.body)?;
        let at = |field: &str| format!("CoordinateUpdateRequest.{field}");
        let fields = json::fields(&value, "structs.CoordinateUpdateRequest")?;
        each_field(fields, |key, given, value| match key {
            "datacenter" => json::text(value, &at("Datacenter"), &mut asked.datacenter),
            "node" => json::text(value, &at("Node"), &mut asked.node),
            "segment" => json::text(value, &at("Segment"), &mut asked.segment),
            "coord" => {
                let fields = json::object(value, &at("Coord"), "coordinate.Coordinate")?;
                each_field(fields, |key, given, value| match key {
                    "vec" => {
                        let field = "Coordinate.Coord.Vec";
                        asked.vector = json::array(value, field, "[]float64")?
                            .iter()
                            .map(|value| float(value, field))
                            .collect::<Decoded<_>>()?;
                        Ok(())
                    }
                    "error" => put(value, "Coordinate.Coord.Error", &mut asked.error),
                    "adjustment" => {
                        put(value, "Coordinate.Coord.Adjustment", &mut asked.adjustment)
                    }
                    "height" => put(value, "Coordinate.Coord.Height", &mut asked.height),
                    _ => Err(json::unknown_field(given)),
                })
            }
            "writerequest" | "token" => Ok(()),
            _ => Err(json::unknown_field(given)),
        })?;
        Ok(asked)
    }
}

fn put(value: &Value, field: &str, out: &mut f64) -> Decoded<()> {
    *out = float(value, field)?;
    Ok(())
}

fn float(value: &Value, field: &str) -> Decoded<f64> {
    if value.is_null() {
        return Ok(0.0);
    }
    value.as_f64().ok_or_else(|| json::mismatch(value, field, "float64"))
}
