//! Row 30: input in every form that peers accept, and in forms that nobody should.

use super::join::pair;
use crate::place::{Outcome, Place, ensure, pause, secs, until};
use crate::raw::{Voice, exchange};
use crate::subject::Subject;
use proconsul_core::types::{Incarnation, Liveness, MemberStatus};
use proconsul_core::wire::memberlist::{Alive, NodeState, PushPull, StreamMessage};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A text as peers write it.
fn raw(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(31);
    [&[0xa0 + length], text].concat()
}

/// An alive message written by hand: each field as given, in the order given.
fn alive(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let count = u8::try_from(fields.len()).unwrap_or(15);
    let mut bytes = vec![4, 0x80 + count];
    for (name, value) in fields {
        bytes.extend(raw(name.as_bytes()));
        bytes.extend(value);
    }
    bytes
}

const VERSIONS: [u8; 6] = [1, 5, 2, 2, 5, 4];

/// The fields of an ordinary alive message for `name`.
fn ordinary(place: &Place, name: &str) -> Vec<(&'static str, Vec<u8>)> {
    let IpAddr::V4(ip) = place.ip(99) else { unreachable!("rows are on 127.0.0.0/8") };
    vec![
        ("Addr", raw(&ip.octets())),
        ("Incarnation", vec![1]),
        ("Meta", raw(&[0xff, 0x80])),
        ("Node", raw(name.as_bytes())),
        ("Port", vec![0xcd, 0x4a, 0x99]),
        ("Vsn", raw(&VERSIONS)),
    ]
}

/// A change to an ordinary message, and the address it is then known by, or that it is not known.
type Form = (&'static str, fn(&mut Vec<(&'static str, Vec<u8>)>, &str), Option<u16>);

/// 19097.
const PORT: u16 = 0x4a99;
/// Where we listen: what a missing port stands for.
const OWN_PORT: u16 = crate::subject::PORT;

fn field<'a>(
    fields: &'a mut [(&'static str, Vec<u8>)],
    name: &str,
) -> &'a mut (&'static str, Vec<u8>) {
    let at = fields.iter().position(|(field, _)| *field == name).unwrap_or_default();
    &mut fields[at]
}

const FORMS: &[Form] = &[
    ("ordinary", |_, _| {}, Some(PORT)),
    (
        "port as u64",
        |f, _| field(f, "Port").1 = vec![0xcf, 0, 0, 0, 0, 0, 0, 0x4a, 0x99],
        Some(PORT),
    ),
    ("port as i32", |f, _| field(f, "Port").1 = vec![0xd2, 0, 0, 0x4a, 0x99], Some(PORT)),
    ("port too large", |f, _| field(f, "Port").1 = vec![0xce, 0, 1, 0, 0], None),
    ("negative port", |f, _| field(f, "Port").1 = vec![0xff], None),
    (
        "unknown keys",
        |f, _| {
            f.push(("Zzz", vec![0x92, 0x81, 0xa1, b'k', 0xc0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0]));
            f.push(("Yyy", vec![0xc3]));
        },
        Some(PORT),
    ),
    ("missing meta", |f, _| f.retain(|(name, _)| *name != "Meta"), Some(PORT)),
    ("nil meta", |f, _| field(f, "Meta").1 = vec![0xc0], Some(PORT)),
    ("wrong-case name", |f, _| field(f, "Node").0 = "node", None),
    ("missing port", |f, _| f.retain(|(name, _)| *name != "Port"), Some(OWN_PORT)),
    ("port 0", |f, _| field(f, "Port").1 = vec![0], Some(OWN_PORT)),
    ("nil port", |f, _| field(f, "Port").1 = vec![0xc0], Some(OWN_PORT)),
    (
        "versions as an array",
        |f, _| field(f, "Vsn").1 = [&[0x96][..], &VERSIONS].concat(),
        Some(PORT),
    ),
    (
        "str8 for a name",
        |f, name| {
            let length = u8::try_from(name.len()).unwrap_or(0);
            field(f, "Node").1 = [&[0xd9, length], name.as_bytes()].concat();
        },
        Some(PORT),
    ),
    (
        "bin8 for versions",
        |f, _| field(f, "Vsn").1 = [&[0xc4, 6][..], &VERSIONS].concat(),
        Some(PORT),
    ),
    (
        "bin16 for versions",
        |f, _| field(f, "Vsn").1 = [&[0xc5, 0, 6][..], &VERSIONS].concat(),
        Some(PORT),
    ),
    (
        "bin8 for a name",
        |f, name| {
            let length = u8::try_from(name.len()).unwrap_or(0);
            field(f, "Node").1 = [&[0xc4, length], name.as_bytes()].concat();
        },
        None,
    ),
];

async fn known(ours: &Subject, name: &str) -> Outcome<Option<u16>> {
    let name = name.to_owned();
    ours.look(move |gossip| gossip.member(&name).map(|member| member.address.port())).await
}

pub(super) async fn table(place: Place) -> Outcome {
    let (real, ours) = pair(&place).await?;
    let voice = Voice::at(place.ip(20)).await?;
    for (round, (what, change, expected)) in FORMS.iter().enumerate() {
        let name = format!("x{round}");
        let mut fields = ordinary(&place, &name);
        change(&mut fields, &name);
        voice.say(ours.address(), &alive(&fields)).await?;
        judge(&ours, &name, what, *expected).await?;
    }
    // A struct as an array, in the order of its declaration; and bytes after the end.
    let fields = ordinary(&place, "xa");
    let mut bytes = vec![4, 0x96];
    for wanted in ["Incarnation", "Node", "Addr", "Port", "Meta", "Vsn"] {
        bytes.extend(fields.iter().filter(|(name, _)| *name == wanted).flat_map(|(_, v)| v));
    }
    voice.say(ours.address(), &bytes).await?;
    judge(&ours, "xa", "struct as array", Some(PORT)).await?;
    let mut bytes = alive(&ordinary(&place, "xt"));
    bytes.extend([1, 2, 3]);
    voice.say(ours.address(), &bytes).await?;
    judge(&ours, "xt", "bytes after the end", Some(PORT)).await?;
    versions(&place, &ours, &voice).await?;
    nonsense(&ours, &voice).await?;
    ours.holds("s1", MemberStatus::Alive).await?;
    until(secs(5), || real.lists("p1", "alive")).await.map(|_| ())
}

async fn judge(ours: &Subject, name: &str, what: &str, expected: Option<u16>) -> Outcome {
    if expected.is_none() {
        pause(50).await;
    }
    until(secs(1), || async {
        let got = known(ours, name).await?;
        ensure(got == expected, || format!("{what}: known by port {got:?}, not {expected:?}"))
    })
    .await
    .map(|_| ())
}

/// Too few versions have stopped old peers; they must not stop us, on either way in.
async fn versions(place: &Place, ours: &Subject, voice: &Voice) -> Outcome {
    for count in 0..6_usize {
        let mut fields = ordinary(place, &format!("v{count}"));
        field(&mut fields, "Vsn").1 = raw(&VERSIONS[..count]);
        voice.say(ours.address(), &alive(&fields)).await?;
        let state = NodeState {
            alive: Arc::new(Alive {
                incarnation: Incarnation(1),
                node: format!("w{count}").into(),
                address: Some(place.ip(98)),
                port: PORT,
                meta: None,
                versions: VERSIONS[..count].to_vec(),
            }),
            liveness: Liveness::Alive,
        };
        let own = PushPull { join: true, nodes: vec![state].into(), user: None };
        let answer = exchange(ours.address(), own).await?;
        ensure(matches!(answer, StreamMessage::PushPull(_)), || format!("{answer:?}"))?;
    }
    pause(300).await;
    let refused = known(ours, "w0").await?;
    ensure(refused.is_none(), || "a member without versions came in by a join".to_owned())
}

async fn nonsense(ours: &Subject, voice: &Voice) -> Outcome {
    let to: SocketAddr = ours.address();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap_or(0)
    };
    for _ in 0..2000 {
        let length = usize::from(next());
        let mut bytes: Vec<u8> = (0..length).map(|_| next()).collect();
        if let Some(first) = bytes.first_mut() {
            *first %= 16;
        }
        voice.say(to, &bytes).await?;
    }
    for kind in [0_u8, 6, 8, 9, 10, 13, 244] {
        let bytes: Vec<u8> = std::iter::once(kind).chain((0..200).map(|_| next())).collect();
        if let Ok(mut stream) = TcpStream::connect(to).await {
            // It may hang up in the middle, and is right to.
            drop(stream.write_all(&bytes).await);
        }
    }
    pause(500).await;
    ensure(!ours.has_stopped(), || "nonsense stopped it".to_owned())
}
