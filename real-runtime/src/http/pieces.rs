//! Bodies that are made while they are sent: archives, which need not be whole in memory.

use crate::archive;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use proconsul_core::http::View;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What is made is sent in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;
/// So many of them wait to be sent.
const PIECES_AHEAD_MAX: usize = 4;
/// A client that takes nothing for this long has gone.
#[cfg(not(madsim))]
const STALLED_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// A body whose pieces are made while others are sent. If it cannot be made to its end, the
/// connection breaks, so that nobody takes it for whole.
pub(super) struct Pieces {
    made: mpsc::Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        this.made.poll_recv(task).map(|piece| match piece {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if this.is_whole.load(Ordering::Acquire) => None,
            None => Some(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }
}

/// Where whoever makes a body puts it.
struct Maker {
    pieces: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
    #[cfg(not(madsim))]
    runtime: tokio::runtime::Handle,
}

impl Maker {
    #[cfg(not(madsim))]
    fn send(&self, piece: Bytes) -> io::Result<()> {
        let taken = self
            .runtime
            .block_on(async { tokio::time::timeout(STALLED_MAX, self.pieces.send(piece)).await });
        if matches!(taken, Ok(Ok(()))) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    /// On a simulated machine there is one thread: whoever makes a body cannot wait for it to be
    /// sent, and the channel has room for all of it.
    #[cfg(madsim)]
    fn send(&self, piece: Bytes) -> io::Result<()> {
        self.pieces.try_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn archive(self, view: &View, is_whole: &AtomicBool) {
        let made = archive::stream(view, crate::clock::wall(), self);
        // The channel closes behind this, and so the body ends.
        let made = made.and_then(|mut maker| {
            maker.flush().inspect(|()| {
                is_whole.store(true, Ordering::Release);
            })
        });
        if let Err(error) = made {
            tracing::debug!(target: "agent.http", "archive not sent to its end: error=\"{error}\"");
        }
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
        if piece.is_empty() { Ok(()) } else { self.send(Bytes::from(piece)) }
    }
}

/// The archive of what `view` holds. It is made by a thread of its own, for it waits for whoever
/// reads it: a slow client may not hold up what else is done aside.
pub(super) fn archive_of(view: Arc<View>) -> Pieces {
    let (pieces, made) = mpsc::channel(if cfg!(madsim) { 1 << 16 } else { PIECES_AHEAD_MAX });
    let is_whole = Arc::new(AtomicBool::new(false));
    let maker = Maker {
        pieces,
        piece: Vec::new(),
        #[cfg(not(madsim))]
        runtime: tokio::runtime::Handle::current(),
    };
    #[cfg(madsim)]
    maker.archive(&view, &is_whole);
    #[cfg(not(madsim))]
    {
        let done = Arc::clone(&is_whole);
        let thread = std::thread::Builder::new().name("archive".to_owned());
        if let Err(error) = thread.spawn(move || maker.archive(&view, &done)) {
            // The maker is gone with it, and the body breaks off.
            tracing::error!(target: "agent.http", "archive not made: error=\"{error}\"");
        }
    }
    Pieces { made, is_whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn a_body_that_breaks_off_is_not_taken_for_whole() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for whole in [true, false] {
            let (pieces, made) = mpsc::channel(2);
            pieces.try_send(Bytes::from_static(b"piece")).unwrap();
            drop(pieces);
            let body = Pieces { made, is_whole: Arc::new(AtomicBool::new(whole)) };
            let read = runtime.block_on(body.collect());
            assert_eq!(read.is_ok(), whole);
        }
    }
}
