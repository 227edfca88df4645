//! Bodies that are made while they are sent: archives, which need not be whole in memory.

use crate::{archive, net};
use bytes::Bytes;
use hyper::body::{Body, Frame};
use proconsul_core::http::View;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What is made is sent in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;
/// So many of them wait to be sent.
const PIECES_AHEAD_MAX: usize = 4;

/// A body whose pieces are made while others are sent. If it cannot be made to its end, the
/// connection breaks, so that nobody takes it for whole.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = self.get_mut().0.poll_recv(task);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// Where whoever makes a body puts it.
struct Maker {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Maker {
    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        // On a simulated machine there is one thread: whoever makes a body cannot wait for it to be
        // sent, and the channel has room for all of it.
        let sent = match cfg!(madsim) {
            true => self.pieces.try_send(piece).is_ok(),
            false => self.pieces.blocking_send(piece).is_ok(),
        };
        if sent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

impl Write for Maker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        if piece.is_empty() { Ok(()) } else { self.send(Ok(Bytes::from(piece))) }
    }
}

/// The archive of what `view` holds, made aside.
pub(super) fn archive_of(view: Arc<View>) -> Pieces {
    let (pieces, made) = mpsc::channel(if cfg!(madsim) { 1 << 16 } else { PIECES_AHEAD_MAX });
    tokio::spawn(net::aside(move || {
        let maker = Maker { pieces: pieces.clone(), piece: Vec::new() };
        let ended =
            archive::stream(&view, crate::clock::wall(), maker).and_then(|mut maker| maker.flush());
        if let Err(error) = ended {
            // Whoever wanted it may be gone.
            drop(Maker { pieces, piece: Vec::new() }.send(Err(error)));
        }
    }));
    Pieces(made)
}
